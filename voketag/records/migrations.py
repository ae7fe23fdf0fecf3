"""Bringing a database to the schema this program needs."""

from __future__ import annotations

from pathlib import Path

from voketag.records.database import Connection
from voketag.records.locks import Lock

ROOT = Path(__file__).resolve().parents[2]


async def migrate(connection: Connection, root: Path = ROOT) -> list[str]:
    """Apply schema.sql, then each file of migrations/ that was not applied yet, in name order.

    Safe to run from many processes at once and again at any time: an advisory lock makes them take
    turns, and each file is one transaction with its own record. Gives the files applied now.
    """
    applied: list[str] = []
    await connection.execute("SELECT pg_advisory_lock($1)", Lock.MIGRATION)
    try:
        async with connection.transaction():
            await connection.execute((root / "schema.sql").read_text())
            await connection.execute(
                "CREATE TABLE IF NOT EXISTS schema_migrations "
                "(file text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
            )
        known = {
            row["file"] for row in await connection.fetch("SELECT file FROM schema_migrations")
        }
        for file in sorted((root / "migrations").glob("[0-9]*.sql")):
            if file.name in known:
                continue
            async with connection.transaction():
                await connection.execute(file.read_text())
                await connection.execute(
                    "INSERT INTO schema_migrations (file) VALUES ($1)", file.name
                )
            applied.append(file.name)
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", Lock.MIGRATION)
    return applied
