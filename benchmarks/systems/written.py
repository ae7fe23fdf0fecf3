"""The bytes that a system's servers write."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from benchmarks.systems.system import System
from voketag.tasks import end

_SAMPLE_EVERY_S = 0.5


@dataclass
class Written:
    """Bytes: of Redis' append-only file, of Postgres' tables and indexes, and of its log (WAL).

    The first is what was appended; what rewrites of the file wrote is not counted.
    """

    redis_log: int = 0
    postgres_tables: int = 0
    postgres_log: int = 0


@contextlib.asynccontextmanager
async def counted(system: System) -> AsyncIterator[Written]:
    """Count what is written inside the context; whole when that has ended."""
    written = Written()
    tables, log = await _postgres(system)
    sampling = asyncio.create_task(_sample(system.redis, written))
    try:
        yield written
    finally:
        await asyncio.sleep(2 * _SAMPLE_EVERY_S)  # the last sample sees the last write
        await end(sampling)
    tables_after, log_after = await _postgres(system)
    written.postgres_tables, written.postgres_log = tables_after - tables, log_after - log


async def _sample(redis: Redis, written: Written) -> None:
    """Add up how the file grows; where it shrinks it was rewritten."""
    before = await _log_bytes(redis)
    while True:
        await asyncio.sleep(_SAMPLE_EVERY_S)
        now = await _log_bytes(redis)
        written.redis_log += max(0, now - before)
        before = now


async def _log_bytes(redis: Redis) -> int:
    """The size of the append-only file; 0 where none is written."""
    found: dict[str, Any] = await redis.info("persistence")
    return int(found.get("aof_current_size", 0)) if found.get("aof_enabled") else 0


async def _postgres(system: System) -> tuple[int, int]:
    row = await system.database.fetchrow(
        "SELECT pg_database_size(current_database()), "
        "pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
    )
    if row is None:
        raise LookupError("a query without a table gave no row")
    return row[0], row[1]
