"""The gate before the intake: what keeps it up to date, and what is said to whom it refuses."""

from __future__ import annotations

import asyncio

import structlog

from voketag import metrics
from voketag.backpressure import GATED, Cause, Gate, Pressure
from voketag.errors import Unavailable
from voketag.http.problems import Problem
from voketag.process import Wires
from voketag.redis.pressure import measure

MEASURE_EVERY_S = 1.0
RETRY_AFTER_S = 10
_DETAILS: dict[Cause, str] = {
    "forgetful": "A scan would not be kept safely now; try again later.",
    "memory": "More scans are held than is safe; try again later.",
    "age": "Scans of this product wait for too long already; try again later.",
    "waiting": "Too many scans come at once; try again later.",
}
log = structlog.get_logger()


async def watch(wires: Wires, gate: Gate) -> None:
    """Measure once a second, for ever: a request pays nothing for it. While Redis does not answer,
    what it said last stands; no scan is accepted then in any case.
    """
    settings = wires.settings
    while True:
        try:
            measured = await measure(
                wires.streams.redis,
                settings.shards,
                settings.redis_replicas or 0,
                may_lose=settings.redis_may_lose,
            )
        except Unavailable as error:
            log.warning("waiting", error=str(error))
        except Exception as error:  # the gate stays as it is; the next measurement may succeed
            log.exception("bug", what="backpressure", exc_info=error)
        else:
            _note(gate, measured, settings.shards)
        await asyncio.sleep(MEASURE_EVERY_S)


def _note(gate: Gate, measured: Pressure, shards: int) -> None:
    before = (gate.full, gate.late)
    gate.note(measured)
    if gate.faults:  # said again each second until it is mended
        log.critical("scans are refused: Redis can lose them", faults=gate.faults)
    if before != (gate.full, gate.late):
        log.error(
            "the gate has changed",
            memory_share=measured.memory_share,
            memory_is_full=gate.full,
            late_shards=sorted(gate.late),
        )
    if measured.memory_share is not None:
        metrics.MEMORY_SHARE.set(measured.memory_share)
    for shard, oldest_s in enumerate(measured.oldest_s):
        if oldest_s is not None:
            metrics.OLDEST_UNFINISHED_SECONDS.labels(shard).set(oldest_s)
    causes = [gate.refusal(shard) for shard in range(shards)]
    for cause in GATED:
        metrics.GATE.labels(cause).set(causes.count(cause))


def refused(cause: Cause) -> Problem:
    """The answer to a scan that is not taken in: nothing of it is kept, it is to come again."""
    metrics.REFUSED.labels(cause).inc()
    code = "unavailable" if cause == "forgetful" else "overloaded"
    return Problem(503, code, _DETAILS[cause], {"Retry-After": str(RETRY_AFTER_S)})
