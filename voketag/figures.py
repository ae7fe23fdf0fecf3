"""The metrics of a process that listens, left in Redis for ops to serve.

Of several copies that share a port a scrape meets any one. A consumer leaves its metrics with its
heartbeat; this is the same for those that have none.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from voketag import metrics
from voketag.errors import Unavailable
from voketag.redis import figures
from voketag.redis.streams import Streams
from voketag.tasks import end

LEAVE_EVERY_S = 2.0
# So long can the figures of a process still be read that died, or that Redis has not heard.
KEPT_S = 10.0
LAST_TIMEOUT_S = 1.0
log = structlog.get_logger()


@contextlib.asynccontextmanager
async def left_in_redis(streams: Streams, process: str) -> AsyncIterator[None]:
    """Leaves the figures of this process for as long as the context lasts, and as they are then."""
    leaving = asyncio.create_task(_leave_on_and_on(streams, process), name="figures")
    try:
        yield
    finally:
        await end(leaving)
        with contextlib.suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(LAST_TIMEOUT_S):
                await _leave(streams, process)


async def _leave(streams: Streams, process: str) -> None:
    kept_ms = int(KEPT_S * 1000)
    await figures.leave(streams.redis, process, streams.boot_id, metrics.snapshot(), kept_ms)


async def _leave_on_and_on(streams: Streams, process: str) -> None:
    failing = False
    while True:
        try:
            await _leave(streams, process)
            failing = False
        except Unavailable as error:
            if not failing:
                log.warning("waiting", what="figures", error=str(error))
            failing = True
        except Exception as error:  # figures are lost by it, and nothing else
            log.exception("bug", what="figures", exc_info=error)
        await asyncio.sleep(LEAVE_EVERY_S)
