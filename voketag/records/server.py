"""What the server itself is like, apart from what is stored in it."""

from __future__ import annotations

from datetime import datetime

import msgspec

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


# ---------------------------------------------------------------------- primary and standby


class Identity(msgspec.Struct, frozen=True):
    """What a database and its physical replicas have in common, and no other database has."""

    system: int
    database: int


async def identity(connection: Connection) -> Identity:
    """Whose copy this database is."""
    row = await connection.fetchrow(
        "SELECT system_identifier AS system, oid::bigint AS database "
        "FROM pg_control_system(), pg_database WHERE datname = current_database()"
    )
    assert row is not None
    return Identity(**row)


async def written_bytes(connection: Connection) -> int:
    """How much a primary has written to its log, ever."""
    written: int = await connection.fetchval(
        "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"
    )
    return written


async def replayed_bytes(connection: Connection) -> int:
    """How much of its primary's log a standby shows."""
    replayed: int = await connection.fetchval(
        "SELECT pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint"
    )
    return replayed


def is_promoted(connection: Connection) -> bool:
    """Whether the server has said on this connection that it is no standby any more. With every
    answer it says what has changed; a pooler that keeps that from us counts as a standby.
    """
    return getattr(connection.get_settings(), "in_hot_standby", "on") == "off"
