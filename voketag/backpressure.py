"""Whether scans are refused at the door, so that everything accepted before them still lands.

Two things can run out. Redis' memory is the guard: a full one takes nothing more, and what it holds
must still be moved on. The age of the oldest unfinished entry of a shard says that nobody works on
it any more. Both with hysteresis: once refused, the figure must fall well below the bound before
anything is accepted again, or every scan let in would close the gate behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MEMORY_REFUSED_FROM = 0.85
MEMORY_ACCEPTED_BELOW = 0.75
AGE_ACCEPTED_BELOW = 0.75  # of the age from which a shard is refused

# `forgetful`: Redis can lose what it acknowledges. `waiting`: this process holds too many scans.
Cause = Literal["forgetful", "memory", "age", "waiting"]
GATED: tuple[Cause, ...] = ("forgetful", "memory", "age")


@dataclass(frozen=True, slots=True)
class Pressure:
    """One measurement of Redis.

    `memory_share` is the memory in use as a share of what may be used, None where it does not say;
    `oldest_s` the age in seconds of the oldest unfinished entry of each shard, None where its
    server is away; `faults` what lets it lose a write it has acknowledged.
    """

    memory_share: float | None
    oldest_s: tuple[float | None, ...]
    faults: tuple[str, ...] = ()


class Gate:
    """Says of a shard whether its scans are refused, from what was measured last."""

    def __init__(self, shed_after_s: float) -> None:
        self._shed_after_s = shed_after_s
        self.faults: tuple[str, ...] = ()
        self.full = False
        self.late: frozenset[int] = frozenset()

    def note(self, measured: Pressure) -> None:
        """Take in a measurement. A memory or an age that is not told changes nothing."""
        self.faults = measured.faults
        if measured.memory_share is not None:
            bound = MEMORY_ACCEPTED_BELOW if self.full else MEMORY_REFUSED_FROM
            self.full = measured.memory_share >= bound
        self.late = frozenset(
            shard
            for shard, oldest_s in enumerate(measured.oldest_s)
            if self._is_late(shard, oldest_s)
        )

    def _is_late(self, shard: int, oldest_s: float | None) -> bool:
        before = shard in self.late
        if oldest_s is None:
            return before
        return oldest_s >= self._shed_after_s * (AGE_ACCEPTED_BELOW if before else 1)

    def refusal(self, shard: int) -> Cause | None:
        """Why scans of this shard are refused; None where they are accepted."""
        if self.faults:
            return "forgetful"
        if self.full:
            return "memory"
        return "age" if shard in self.late else None
