"""The recent-batch cache: what an ERP asks for again and again, for five minutes in Redis.

Only completed batches are kept, which change no more but for a recall. A reader never overwrites
(SET NX) and a recall always does, after its commit: an older answer cannot come back over a newer.
"""

from __future__ import annotations

from uuid import UUID

import msgspec
import structlog
from redis.asyncio import Redis

from voketag.batches.answers import Batch
from voketag.errors import Unavailable
from voketag.redis.connection import redis_errors

TTL_S = 300
_decoder = msgspec.json.Decoder(Batch)
log = structlog.get_logger()


def _key(batch_id: UUID) -> str:
    return f"batch:{batch_id}"


async def get(redis: Redis, batch_id: UUID) -> Batch | None:
    """The cached batch, None where there is none or Redis does not answer."""
    try:
        async with redis_errors():
            value = await redis.get(_key(batch_id))
        return _decoder.decode(value) if value is not None else None
    except (Unavailable, msgspec.DecodeError) as error:
        log.warning("batch cache passed by", error=str(error))
        return None


async def offer(redis: Redis, batch: Batch) -> None:
    """Keep a batch that was read, if it is completed and none is kept; never fails."""
    if batch.status != "completed":
        return
    try:
        async with redis_errors():
            await redis.set(_key(batch.batch_id), msgspec.json.encode(batch), nx=True, ex=TTL_S)
    except Unavailable as error:
        log.warning("batch cache passed by", error=str(error))


async def replace(redis: Redis, batch: Batch) -> None:
    """Keep a completed batch as it is from now on. Raises Unavailable where Redis does not answer.

    One that is not completed is in no cache.
    """
    if batch.status != "completed":
        return
    async with redis_errors():
        await redis.set(_key(batch.batch_id), msgspec.json.encode(batch), ex=TTL_S)
