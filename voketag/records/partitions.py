"""The monthly partitions of scans and products: made ahead and dropped by age."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from voketag.records.database import Connection
from voketag.records.locks import Lock

# What needs the exclusive lock of a partitioned table gives up after this; everyone who comes
# later queues behind it while it waits.
LOCK_TIMEOUT_MS = 2000
MOVE_TIMEOUT_S = 120.0  # to move what lay in the DEFAULT partition, under that lock
DEFAULT_COUNTED_MAX = 100_000
_SCANS_OF_MONTH = re.compile(r"^scan_events_(\d{4})_(\d{2})$")


async def lock_maintenance(connection: Connection) -> bool:
    """Become the one process that does maintenance until this transaction ends; gives whether.

    Held by a transaction and not by the session, so that it holds behind PgBouncer too.
    """
    locked: bool = await connection.fetchval(
        "SELECT pg_try_advisory_xact_lock($1)", Lock.MAINTENANCE
    )
    return locked


async def ensure(connection: Connection, since: datetime, months: int) -> int:
    """Make the monthly partitions from the month of `since` to `months` after it; how many are new.

    Scans that had to be stored in the DEFAULT partition move to their month. Must run inside a
    transaction. Raises Unavailable where the tables are busy for too long.
    """
    await _limit_waiting(connection)
    made: int = await connection.fetchval(
        "SELECT ensure_partitions($1, $2)", since, months, timeout=MOVE_TIMEOUT_S
    )
    return made


async def empty_default(connection: Connection) -> int:
    """Make the months that scans in the DEFAULT partition belong to, and move them there; gives how
    many months are new.

    Must run inside a transaction. Raises Unavailable where the table is busy for too long.
    """
    await _limit_waiting(connection)
    made: int = await connection.fetchval(
        "SELECT empty_default_partition()", timeout=MOVE_TIMEOUT_S
    )
    return made


async def missing(connection: Connection, months: Sequence[datetime]) -> list[str]:
    """The partitions of scans and products that there should be for these months and are not."""
    names = [f"{table}_{month:%Y_%m}" for month in months for table in ("scan_events", "products")]
    rows = await connection.fetch(
        "SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NULL", names
    )
    return [row["name"] for row in rows]


async def scan_months(connection: Connection) -> list[tuple[str, datetime]]:
    """The partitions of scans that belong to a month, and the time at which that month ends."""
    rows = await connection.fetch(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
        "WHERE inhparent = 'scan_events'::regclass ORDER BY relname"
    )
    found = []
    for row in rows:
        month = _SCANS_OF_MONTH.match(row["relname"])
        if month is not None:
            year, number = int(month[1]), int(month[2])
            ended = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
            found.append((row["relname"], ended))
    return found


async def drop_scan_month(connection: Connection, partition: str) -> None:
    """Drop one partition that `scan_months` named, with its scans.

    Must run inside a transaction. DETACH CONCURRENTLY is not allowed beside a DEFAULT partition;
    a plain DETACH changes the catalogue alone, so the exclusive lock it needs is held for
    milliseconds, and only waited for briefly. Raises Unavailable where that was not enough.
    """
    if not _SCANS_OF_MONTH.match(partition):
        raise ValueError(f"{partition!r} is not a month of scans")
    await _limit_waiting(connection)
    await connection.execute(f"ALTER TABLE scan_events DETACH PARTITION {partition}")
    await connection.execute(f"DROP TABLE {partition}")


async def default_rows(connection: Connection) -> int:
    """Scans that lie in the DEFAULT partition because their month's is missing, counted up to
    DEFAULT_COUNTED_MAX.
    """
    rows: int = await connection.fetchval(
        "SELECT count(*) FROM (SELECT FROM scan_events_default LIMIT $1) AS counted",
        DEFAULT_COUNTED_MAX,
    )
    return rows


async def _limit_waiting(connection: Connection) -> None:
    await connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
