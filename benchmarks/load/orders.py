"""What the load generator is told, and what it tells: the two ends of its pipe."""

from __future__ import annotations

import msgspec

PERCENTILES = (50.0, 95.0, 99.0, 99.9)


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """One load of scans.

    Without `per_s` it is closed: each of the `connections` sends its next scan when the one before
    it is answered. With `per_s` it is open: that many scans a second are due by the clock, wait for
    a free connection where all are busy, and their latency counts from when they were due.

    It ends after `for_s` seconds or `requests_max` scans, and then waits up to `answer_within_s`
    seconds for the answers that are missing. `distinct` requests are rendered beforehand and sent
    in turn, each product as often as the others; `named_share` of them (0 to 1) name their scan id.
    """

    url: str
    tokens: list[str]
    connections: int
    for_s: float
    per_s: float | None = None
    requests_max: int = 10_000_000
    named_share: float = 0.0
    answer_within_s: float = 15.0
    distinct: int = 30_000
    phones: int = 100_000
    seed: int = 1


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """How a load was answered.

    `statuses` counts the answers by HTTP status. `broken` are requests whose connection ended, or
    whose answer was none; `unanswered` those that had none at the end, in flight or still waiting
    for a connection. `duration_s` runs from the first request due to the last answer. Latencies
    (milliseconds) are those of all answers; a quantile is off by less than 1 %. `cpu_s` is what the
    generator itself took of the processor during the load.
    """

    sent: int
    statuses: dict[str, int]
    broken: int
    unanswered: int
    duration_s: float
    per_s: float
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    p99_9_ms: float
    max_ms: float
    cpu_s: float
    begun_at_s: float  # of the Unix epoch

    @property
    def ok(self) -> int:
        """The scans answered with 200."""
        return self.statuses.get("200", 0)

    @property
    def failed(self) -> int:
        """The scans that were not."""
        return sum(self.statuses.values()) - self.ok + self.broken + self.unanswered
