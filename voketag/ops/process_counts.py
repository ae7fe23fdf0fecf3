"""What the processes counted in the last seconds, from the figures that each leaves in Redis."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from voketag import metrics

SCANS_ROUTE = "/v1/scans"
# A kind of count and what tells its members apart: a bound in seconds, a verdict, a status, ...
Key = tuple[str, str]
Process = tuple[str, str]  # its name and its boot id
_COUNTED = {
    "voketag_http_request_seconds_bucket": ("within", "le"),
    "voketag_http_requests_total": ("status", "status"),
    "voketag_scans_refused_total": ("refused", "reason"),
    "voketag_bad_tokens_total": ("forged", ""),
    "voketag_entries_lost_total": ("lost", "stream"),
    # Gauges: what they say now is of interest, not by how much it changed.
    "voketag_shards_refused": ("gate", "reason"),
    "voketag_redis_memory_share": ("memory", ""),
    "voketag_default_partition_rows": ("default_rows", ""),
}


def read(snapshot: bytes) -> dict[Key, float]:
    """What is of interest here of a process's snapshot; of requests, those that post a scan."""
    counts: dict[Key, float] = {}
    for name, labels, value in metrics.samples_of(snapshot):
        if name in _COUNTED and labels.get("route", SCANS_ROUTE) == SCANS_ROUTE:
            kind, label = _COUNTED[name]
            key = (kind, labels.get(label, ""))
            counts[key] = counts.get(key, 0.0) + value
    return counts


def of_kind(counts: Mapping[Key, float], kind: str) -> dict[str, float]:
    """The counts of one kind."""
    return {member: value for (of, member), value in counts.items() if of == kind}


class Window:
    """The counts of the last `length_s` seconds, all processes together."""

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._seen: deque[tuple[float, Mapping[Process, Mapping[Key, float]]]] = deque()

    def note(self, at_s: float, counts: Mapping[Process, Mapping[Key, float]]) -> None:
        """Keep what the processes have counted until `at_s`, a monotonic time."""
        self._seen.append((at_s, counts))
        while len(self._seen) > 2 and self._seen[1][0] <= at_s - self._length_s:
            self._seen.popleft()

    def grown(self) -> tuple[float, dict[Key, float]] | None:
        """Over how many seconds, and by how much each count grew; None before two looks, and where
        no process is seen.

        A process counts from when it was first seen in the window: what one had counted that
        could not be seen for a moment did not happen now.
        """
        if len(self._seen) < 2 or not self._seen[-1][1]:
            return None
        first: dict[Process, Mapping[Key, float]] = {}
        for _, counts in self._seen:
            for process, counted in counts.items():
                first.setdefault(process, counted)
        grown: dict[Key, float] = {}
        for process, counted in self._seen[-1][1].items():
            for key, value in counted.items():
                more = max(0.0, value - first[process].get(key, 0.0))
                grown[key] = grown.get(key, 0.0) + more
        return self._seen[-1][0] - self._seen[0][0], grown


def quantile(within: Mapping[str, float], share: float) -> float | None:
    """The value under which this share of the observations lies, straight between the bounds of a
    histogram as Prometheus' histogram_quantile has it; None where there are none. What lies above
    the last bound is told as that bound.
    """
    bounds = sorted((float(bound), count) for bound, count in within.items())
    if not bounds or not bounds[-1][1]:
        return None
    rank = share * bounds[-1][1]
    below, low = 0.0, 0.0
    for bound, count in bounds:
        if count >= rank and bound != float("inf"):
            return low + (bound - low) * (rank - below) / (count - below)
        if bound != float("inf"):
            below, low = count, bound
    return low
