"""What a section of the benchmark is given, and what it gives: figures, and what they should reach.

A section measures in rounds and interleaves what it compares: round 1 of every system, then 2.
What drifts with the machine then drifts for all of them, and a ratio is taken round by round.
"""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Bench:
    """One run of the benchmark as its sections see it.

    `folder` is empty, and a section's alone. `rounds` is how often each system is measured.
    `say` shows a line of progress. `scale` shortens a run: 1 is the published one; durations and
    sizes may be multiplied by it, and a run below 1 is marked as such in its results.
    """

    folder: Path
    rounds: int
    scale: float
    say: Callable[[str], None]


@dataclass(frozen=True)
class Figure:
    """One quantity of one system: a value a round, in the order of the rounds."""

    name: str
    system: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the most of the rounds."""
        return min(self.values), max(self.values)


@dataclass(frozen=True)
class Target:
    """What a figure, or its ratio to another one of the same rounds, is to reach.

    With `to` the compared values are the quotients of the rounds; without it the figure's own.
    `better` says in which direction `at_least` and `aim` are passed; None where there is no bound,
    and the quotient is shown for information.
    """

    name: str
    of: Figure
    to: Figure | None = None
    at_least: float | None = None
    aim: float | None = None
    better: Literal["more", "less"] = "more"

    @property
    def values(self) -> tuple[float, ...]:
        """What is compared, a value a round."""
        if self.to is None:
            return self.of.values
        return tuple(a / b for a, b in zip(self.of.values, self.to.values, strict=True))

    def reaches(self, bound: float | None) -> bool | None:
        """Whether the median passes `bound`; None where there is none."""
        if bound is None:
            return None
        median = statistics.median(self.values)
        return median >= bound if self.better == "more" else median <= bound


@dataclass(frozen=True)
class Found:
    """What a section has found. `notes` are sentences that a reader of the figures must know, such
    as that a peer is not installed and was NOT MEASURED.
    """

    figures: Sequence[Figure]
    targets: Sequence[Target] = ()
    notes: Sequence[str] = field(default_factory=tuple)


Measure = Callable[[Bench], Awaitable[Found]]


@dataclass(frozen=True)
class Section:
    """A part of the benchmark that can be run by itself: `make bench ONLY=name`."""

    name: str
    title: str
    measure: Measure
