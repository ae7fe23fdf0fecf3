"""The recent-batch cache: what an ERP asks for again and again, for five minutes in Redis.

Only completed batches are kept, which change no more but for a recall, and for a reorganisation
that takes their anchor away. Either has the batch forgotten, which leaves an empty value in its
place: a reader never overwrites (SET NX), so an older answer cannot come back over a newer.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec
import structlog
from redis.asyncio import Redis

from voketag.batches.answers import Batch
from voketag.errors import Unavailable
from voketag.redis.connection import redis_errors

TTL_S = 300
MOST_AT_ONCE = 1000  # keys in one pipeline
_FORGOTTEN = b""
_decoder = msgspec.json.Decoder(Batch)
log = structlog.get_logger()


def _key(batch_id: UUID) -> str:
    return f"batch:{batch_id}"


async def get(redis: Redis, batch_id: UUID) -> Batch | None:
    """The cached batch, None where there is none or Redis does not answer."""
    try:
        async with redis_errors():
            value = await redis.get(_key(batch_id))
        return _decoder.decode(value) if value else None
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


async def forget(redis: Redis, batch_ids: Sequence[UUID]) -> None:
    """Keep nothing of batches that have changed or are about to, and nothing that a reader which
    began before this will offer. Raises Unavailable where Redis does not answer.

    The empty value stands where an answer would; for as long as it does, Postgres is asked.
    """
    for at in range(0, len(batch_ids), MOST_AT_ONCE):
        async with redis_errors(), redis.pipeline(transaction=False) as pipeline:
            for batch_id in batch_ids[at : at + MOST_AT_ONCE]:
                pipeline.set(_key(batch_id), _FORGOTTEN, ex=TTL_S)
            await pipeline.execute()
