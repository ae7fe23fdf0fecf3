"""The time by Redis's clock."""

from __future__ import annotations

from redis.asyncio import Redis

from voketag.redis.connection import redis_errors


async def now_s(redis: Redis) -> float:
    """Seconds since the Unix epoch. Raises Unavailable where it does not answer."""
    async with redis_errors():
        seconds, microseconds = await redis.time()
    return float(seconds + microseconds / 1_000_000)
