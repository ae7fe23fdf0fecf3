"""How many scans a second are accepted, scored and stored, by what the streams say."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from redis.asyncio import Redis

from voketag.redis.stream_status import Totals, read_totals


class Rates(msgspec.Struct, frozen=True):
    """Scans a second; null where Redis cannot say, there was no count before, or it began anew."""

    accepted: float | None = None
    scored: float | None = None
    stored: float | None = None


@dataclass(frozen=True)
class Counts:
    """The totals at one instant; `at_s` is of the monotonic clock."""

    at_s: float
    accepted: Totals
    scored: Totals


async def read_counts(redis: Redis, scans: Sequence[str], scored: Sequence[str]) -> Counts:
    """What there was until now in the streams of scans and of scored scans. Raises Unavailable."""
    return Counts(
        time.monotonic(),
        await read_totals(redis, scans, "score"),
        await read_totals(redis, scored, "persist"),
    )


def grown(before: int | None, now: int | None) -> int | None:
    """By how much; None where that is not known, or the count began anew."""
    return None if before is None or now is None or now < before else now - before


def rates(before: Counts, now: Counts) -> Rates:
    """What was done between two counts, by the second."""
    took_s = max(now.at_s - before.at_s, 1e-3)

    def rate(earlier: int | None, later: int | None) -> float | None:
        done = grown(earlier, later)
        return None if done is None else round(done / took_s, 1)

    return Rates(
        rate(before.accepted.added, now.accepted.added),
        rate(before.scored.added, now.scored.added),
        rate(before.scored.finished, now.scored.finished),
    )
