"""What the server itself is like, apart from what is stored in it."""

from __future__ import annotations

from datetime import datetime

from voketag.records.database import Connection

# With any of these off, Postgres can lose in a crash what it said was committed. Of
# synchronous_commit every other value is on this machine's disk at least.
_KEEPS = ("fsync", "full_page_writes", "synchronous_commit")


async def forgetful_settings(connection: Connection) -> list[str]:
    """The settings that let this Postgres lose what it committed; none where it keeps it."""
    rows = await connection.fetch(
        "SELECT name FROM unnest($1::text[]) AS name WHERE current_setting(name) = 'off'", _KEEPS
    )
    return [row["name"] for row in rows]


async def now(connection: Connection) -> datetime:
    """The time by the server's clock."""
    moment: datetime = await connection.fetchval("SELECT clock_timestamp()")
    return moment
