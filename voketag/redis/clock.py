"""The time by Redis's clock."""

from __future__ import annotations

from redis.asyncio import Redis

from voketag.redis.cluster import primaries
from voketag.redis.connection import redis_errors


async def now_s(redis: Redis) -> list[float]:
    """Seconds since the Unix epoch, by each server. Raises Unavailable where one does not
    answer.
    """
    async with redis_errors():
        told = [await server.time() for server in await primaries(redis)]
    return [float(seconds + microseconds / 1_000_000) for seconds, microseconds in told]
