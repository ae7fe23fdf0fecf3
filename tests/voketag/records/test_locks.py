"""Advisory locks: each duty has one of its own."""

from __future__ import annotations

import asyncpg

from voketag.records import anchors, partitions


async def test_maintenance_and_anchoring_do_not_keep_each_other_waiting(database_url: str) -> None:
    one, other = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    try:
        async with one.transaction(), other.transaction():
            assert await anchors.try_lock(one)
            assert await partitions.lock_maintenance(other)
            assert not await anchors.try_lock(other)
            assert not await partitions.lock_maintenance(one)
    finally:
        await one.close()
        await other.close()
