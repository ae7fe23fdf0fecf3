"""Bringing a database to the schema this program needs."""

from __future__ import annotations

import hashlib
from pathlib import Path

from voketag.records.database import Connection
from voketag.records.locks import Lock

ROOT = Path(__file__).resolve().parents[2]
_NOTE = "INSERT INTO schema_migrations (file) VALUES ($1) ON CONFLICT DO NOTHING"
TIMEOUT_S = 3600.0  # a migration may rewrite a large table, or wait for another process's


async def migrate(connection: Connection, root: Path = ROOT) -> list[str]:
    """Apply schema.sql, then each file of migrations/ that was not applied yet, in name order.

    Safe to run from many processes at once and again at any time: each file is one transaction
    with its own record, under an advisory lock that makes them take turns and that, being the
    transaction's, holds behind PgBouncer too. Gives the files of migrations/ applied now.
    """
    async with connection.transaction():
        await _take_turn(connection)
        await connection.execute((root / "schema.sql").read_text())
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations "
            "(file text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        await connection.execute(_NOTE, _schema(root))
    applied = []
    for file in _files(root):
        if await _applied_now(connection, file.name, file.read_text()):
            applied.append(file.name)
    return applied


async def missing(connection: Connection, root: Path = ROOT) -> list[str]:
    """What of schema.sql and migrations/ this database has not been brought to, in order.

    A database that is ahead of this program is not: versions run side by side in a deployment.
    """
    wanted = [_schema(root), *(file.name for file in _files(root))]
    if await connection.fetchval("SELECT to_regclass('schema_migrations') IS NULL"):
        return wanted
    rows = await connection.fetch("SELECT file FROM schema_migrations")
    known = {row["file"] for row in rows}
    return [file for file in wanted if file not in known]


async def _applied_now(connection: Connection, name: str, statements: str) -> bool:
    async with connection.transaction():
        await _take_turn(connection)
        if await connection.fetchval("SELECT 1 FROM schema_migrations WHERE file = $1", name):
            return False
        await connection.execute(statements)
        await connection.execute(_NOTE, name)
    return True


async def _take_turn(connection: Connection) -> None:
    await connection.execute("SELECT pg_advisory_xact_lock($1)", Lock.MIGRATION)


def _files(root: Path) -> list[Path]:
    return sorted((root / "migrations").glob("[0-9]*.sql"))


def _schema(root: Path) -> str:
    """schema.sql by its content: another version of it counts as another file."""
    digest = hashlib.sha256((root / "schema.sql").read_bytes()).hexdigest()
    return f"schema.sql {digest[:16]}"
