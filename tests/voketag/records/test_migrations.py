"""Bringing a database that is in use to this program's schema."""

from __future__ import annotations

import asyncpg

from voketag import identifiers
from voketag.records.migrations import ROOT, migrate


async def test_an_older_database_keeps_its_rows_and_each_file_is_applied_once(
    database_url: str,
) -> None:
    connection = await asyncpg.connect(database_url)
    files = sorted(path.name for path in (ROOT / "migrations").iterdir())
    try:
        await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        await connection.execute((ROOT / "schema.sql").read_text())
        await connection.execute(
            "INSERT INTO dead_letter_audit (audit_id, stream, entry_id, action, event) "
            "VALUES ($1, 'roots', '1-1', 'drop', '')",
            identifiers.new_id(),
        )
        assert await migrate(connection) == files
        assert await migrate(connection) == []
        assert await connection.fetchval("SELECT via FROM dead_letter_audit") == "cli"
    finally:
        await connection.close()
