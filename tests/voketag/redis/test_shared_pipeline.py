"""Pipelines that many share: how large they grow, and how much waits for them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.replica import replica_of
from voketag.errors import Overloaded
from voketag.redis.connection import connect
from voketag.redis.shared_pipeline import MAX_BYTES, MAX_CALLS, MAX_WAITING, SharedPipeline

LENGTH = b"redis.call('SET', KEYS[1], #ARGV[1]) return #ARGV[1]"


async def waits(redis: Redis) -> int:
    """How often WAIT was called: each pipeline ends with one."""
    stats = await redis.info("commandstats")
    return int(stats.get("cmdstat_wait", {"calls": 0})["calls"])


@pytest.mark.parametrize(
    ("calls", "size", "pipelines"),
    [(2 * MAX_CALLS + 1, 10, 3), (8, MAX_BYTES // 3 - 100, 3), (3, MAX_BYTES + 1, 3), (9, 10, 1)],
)
async def test_f8_a_pipeline_is_bounded_by_count_and_by_bytes(
    redis_url: str, tmp_path: Path, calls: int, size: int, pipelines: int
) -> None:
    async with connect(redis_url) as redis, replica_of(redis_url, tmp_path):
        shared = SharedPipeline(redis, LENGTH, 1, 1)
        await shared.call(["key", b"first"])
        before = await waits(redis)
        replies = await asyncio.gather(*(shared.call(["key", b"x" * size]) for _ in range(calls)))
        assert replies == [size] * calls
        assert await waits(redis) - before == pipelines


async def test_f8_what_waits_is_bounded_and_what_waited_is_done(redis_url: str) -> None:
    async with connect(redis_url) as redis:
        shared = SharedPipeline(redis, LENGTH, 1, 0)
        calls = [shared.call(["key", b"x"]) for _ in range(MAX_WAITING)]
        with pytest.raises(Overloaded):
            shared.call(["key", b"x"])
        assert await asyncio.gather(*calls) == [1] * MAX_WAITING
        assert await shared.call(["key", b"xx"]) == 2
        await shared.close()
