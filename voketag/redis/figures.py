"""The metrics of a process without a heartbeat, left for ops to serve."""

from __future__ import annotations

from redis.asyncio import Redis

from voketag import topology
from voketag.redis import leases
from voketag.redis.connection import redis_errors


async def leave(redis: Redis, process: str, boot_id: str, figures: bytes, kept_ms: int) -> None:
    """Leave the figures of a process where a consumer's heartbeat would. Raises Unavailable."""
    async with redis_errors(), redis.pipeline(transaction=False) as pipeline:
        key = topology.metrics_key(process, boot_id)
        pipeline.eval(leases.LEAVE_FIGURES, 1, key, figures, kept_ms)
        pipeline.eval(leases.BEAT, 1, topology.members_key(process), boot_id, kept_ms)
        await pipeline.execute()
