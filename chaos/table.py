"""The audit as a person reads it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from chaos.findings import Audit

COLUMNS = ("attempted", "accepted", "stored", "twice", "dead", "lost", "strange")


@dataclass
class Recovery:
    """How long it took, in seconds, from each fault's end until the pipeline worked through."""

    took_s: list[float] = field(default_factory=list)
    longest_after: str = ""

    def note(self, took_s: float, after: str) -> None:
        """One recovery."""
        if took_s >= max(self.took_s, default=0.0):
            self.longest_after = after
        self.took_s.append(took_s)

    def percentile(self, share: float) -> float:
        """The smallest time that at least `share` of the recoveries did not exceed."""
        ordered = sorted(self.took_s)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


@dataclass
class Told:
    """What a run did, for the table."""

    seed: int
    lasted_s: float
    scans_per_s: float
    inflicted: Counter[tuple[str, str]]
    recovery: Recovery
    refusals: Counter[str]
    stuck: list[str] = field(default_factory=list)


def lines(told: Told, audit: Audit) -> Iterator[str]:
    """The table, line by line."""
    kills = sum(count for (kind, _), count in told.inflicted.items() if kind == "kill")
    others = sum(told.inflicted.values()) - kills
    yield (
        f"{kills:,} kill -9 and {others:,} other faults in {told.lasted_s / 60:.1f} min, at "
        f"{told.scans_per_s:g} scans a second; seed {told.seed}"
    )
    yield ""
    yield from _aligned(
        [("", *COLUMNS)]
        + [(row.what, *(f"{getattr(row, name):,}" for name in COLUMNS)) for row in audit.rows]
    )
    yield ""
    yield from (f"  {fact}" for fact in audit.facts)
    yield f"  {audit.repeats:,} requests sent again, each answered as before"
    yield ""
    yield from _aligned(list(_killed(told.inflicted)))
    yield ""
    recovery = told.recovery
    yield (
        f"recovery: median {recovery.percentile(0.5):.1f} s, p99 {recovery.percentile(0.99):.1f} s,"
        f" longest {recovery.percentile(1):.1f} s"
        + (f" (after {recovery.longest_after})" if recovery.longest_after else "")
    )
    refused = ", ".join(f"{count:,} {name}" for name, count in told.refusals.most_common())
    yield f"refusals by status or error, tried again: {refused or 'none'}"
    yield ""
    if audit.findings:
        yield f"FOUND {len(audit.findings)}:"
        yield from (f"  {finding}" for finding in audit.findings[:50])
    else:
        yield "lost 0, duplicates 0: everything accepted is there, once"


def _killed(inflicted: Counter[tuple[str, str]]) -> Iterator[tuple[str, ...]]:
    kinds = sorted({kind for kind, _ in inflicted}, key=lambda kind: (kind != "kill", kind))
    yield ("", *kinds)
    for target in sorted({target for _, target in inflicted}):
        yield (target, *(str(inflicted[kind, target] or "") for kind in kinds))


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        first, *rest = (
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join((first, *rest)).rstrip()
