"""How much is done a second and how fast it is answered, now and in the last minutes."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

import msgspec
from redis.asyncio import Redis

from voketag.errors import Unavailable
from voketag.ops.process_counts import Window, of_kind, quantile, read
from voketag.ops.stream_rates import Counts, Rates, grown, rates, read_counts
from voketag.redis.stream_status import process_metrics

COUNTED_S = 10.0  # the window of what processes count: they leave it every other second
HISTORY_MAX_POINTS = 300


class Latency(msgspec.Struct, frozen=True):
    """How long phones waited for the answers to their scans in the last `window_s` seconds, in
    milliseconds; null where none was answered.
    """

    window_s: float
    answers: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class Refusals(msgspec.Struct, frozen=True):
    """Scans a second that were not taken: by the status that phones were answered with, and by
    reason where they were turned away; and codes a second that we did not sign.
    """

    statuses: dict[str, float]
    reasons: dict[str, float]
    forged: float


class History(msgspec.Struct, frozen=True):
    """The last minutes, the oldest first: a time (Unix epoch, seconds) and what was then, each
    figure in a list of its own; null where it was not known.
    """

    at_s: list[float]
    accepted: list[float | None]
    scored: list[float | None]
    stored: list[float | None]
    p50_ms: list[float | None]
    p95_ms: list[float | None]
    p99_ms: list[float | None]


@dataclass(frozen=True)
class Now:
    """One look: what was done since the one before, None where that is not known."""

    at_s: float
    rates: Rates = field(default_factory=Rates)
    scored: int | None = None
    latency: Latency | None = None
    refusals: Refusals | None = None


class Watch:
    """Looks at the counts again and again and keeps what they were."""

    def __init__(self, redis: Redis, scans: list[str], scored: list[str]) -> None:
        self._redis = redis
        self._scans = scans
        self._scored = scored
        self._before: Counts | None = None
        self._window = Window(COUNTED_S)
        self._points: deque[tuple[float | None, ...]] = deque(maxlen=HISTORY_MAX_POINTS)

    async def look(self) -> Now:
        """Look at the counts now. Raises Unavailable, which is kept as a gap."""
        try:
            now = await self._look()
        except Unavailable:
            self._before, self._window = None, Window(COUNTED_S)
            self._keep(Now(time.time()))
            raise
        self._keep(now)
        return now

    def history(self) -> History:
        """The last minutes."""
        columns = zip(*self._points, strict=True) if self._points else [()] * 7
        at_s, *figures = (list(column) for column in columns)
        return History([at for at in at_s if at is not None], *figures)

    async def _look(self) -> Now:
        counts = await read_counts(self._redis, self._scans, self._scored)
        left = await process_metrics(self._redis, ["scan"])
        self._window.note(counts.at_s, {who: read(data) for who, data in left.items()})
        before, self._before = self._before, counts
        latency, refusals = _answered(self._window)
        if before is None:
            return Now(time.time(), Rates(), None, latency, refusals)
        scored = grown(before.scored.added, counts.scored.added)
        return Now(time.time(), rates(before, counts), scored, latency, refusals)

    def _keep(self, now: Now) -> None:
        done, latency = now.rates, now.latency
        percentiles: tuple[float | None, ...] = (None, None, None)
        if latency is not None:
            percentiles = (latency.p50_ms, latency.p95_ms, latency.p99_ms)
        at_s = round(now.at_s, 1)
        self._points.append((at_s, done.accepted, done.scored, done.stored, *percentiles))


def _answered(window: Window) -> tuple[Latency | None, Refusals | None]:
    """What the scan processes say of their answers; None where none has said it twice."""
    counted = window.grown()
    if counted is None:
        return None, None
    window_s, counts = counted
    within = of_kind(counts, "within")

    def percentile(share: float) -> float | None:
        seconds = quantile(within, share)
        return None if seconds is None else round(seconds * 1000, 2)

    def a_second(kind: str) -> dict[str, float]:
        return {
            name: round(count / window_s, 2)
            for name, count in of_kind(counts, kind).items()
            if count
        }

    latency = Latency(
        round(window_s, 1),
        round(within.get("+Inf", 0.0)),
        percentile(0.5),
        percentile(0.95),
        percentile(0.99),
    )
    statuses = {name: rate for name, rate in a_second("status").items() if name >= "4"}
    return latency, Refusals(statuses, a_second("refused"), a_second("forged").get("", 0.0))
