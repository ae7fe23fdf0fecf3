"""How many scans a second the whole pipeline takes in, scores and stores; and whether it holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.section import Bench, Figure, Found, Section, Target
from benchmarks.systems.comparing import (
    FASTSTREAM,
    GO,
    GO_ALONE,
    VOKETAG,
    candidates,
    figures,
    in_rounds,
)
from benchmarks.systems.system import Drained, System

CONNECTIONS = (50, 150)
CLOSED_FOR_S = 20.0

HELD_PER_S = 6600.0
# What is asked is a little more: the rate counts until the last answer, which takes its time too.
ASKED_PER_S = 1.003 * HELD_PER_S
HELD_FOR_S = 60.0
HELD_LAG_MAX_S = 2.0
SPARE_PER_S = 8580.0  # 30 % more
SPARE_FOR_S = 20.0
OPEN_CONNECTIONS = 256


@dataclass(frozen=True)
class _Round:
    """What one system did in one round; the open loads are VokeTag's alone."""

    closed: dict[int, Drained]
    opened: dict[float, Drained]

    @property
    def faults(self) -> list[str]:
        """What did not go as it should."""
        return [one.fault for one in (*self.closed.values(), *self.opened.values()) if one.fault]


async def measure(bench: Bench) -> Found:
    """Closed loads of every system, and open ones at a fixed rate of VokeTag."""
    systems, notes = candidates(bench)

    async def one(system: System) -> _Round:
        return await _round(bench, system)

    found = await in_rounds(bench, systems, one)
    shown: list[Figure] = []
    targets: list[Target] = []
    for connections in CONNECTIONS:
        stored, lag = _closed_figures(found, connections)
        shown += [*stored.values(), *lag.values()]
        targets += _ratios(stored, connections)
    opened, held = _opened(found[VOKETAG])
    return Found([*shown, *opened], [*targets, *held], [*notes, *_faults(found)])


async def _round(bench: Bench, system: System) -> _Round:
    closed, opened = {}, {}
    for connections in CONNECTIONS:
        done = await system.drain(system.load(connections, bench.scale * CLOSED_FOR_S))
        closed[connections] = done
        bench.say(f"  {connections} connections: {_said(done)}")
    if system.name == VOKETAG:
        held_s = HELD_FOR_S * max(1.0, bench.scale)  # a minute, however short the rest is
        for per_s, for_s in ((ASKED_PER_S, held_s), (SPARE_PER_S, SPARE_FOR_S * bench.scale)):
            done = await system.drain(system.load(OPEN_CONNECTIONS, for_s, per_s))
            opened[per_s] = done
            bench.say(f"  {per_s:,.0f} a second due: {_said(done)}")
    return _Round(closed, opened)


def _said(done: Drained) -> str:
    measured = done.measured
    return (
        f"{measured.per_s:,.0f} answered a second, {done.stored_per_s:,.0f} stored, "
        f"p50 {measured.p50_ms:.1f} ms, p99 {measured.p99_ms:.1f} ms, lag {done.lag_s:.2f} s"
    )


def _closed_figures(
    found: dict[str, list[_Round]], connections: int
) -> tuple[dict[str, Figure], dict[str, Figure]]:
    """Scans stored a second and seconds of lag, by system."""
    where = f"{connections} connections"
    stored = figures(
        f"stored, {where}", "scans/s", found, lambda one: one.closed[connections].stored_per_s
    )
    lag = figures(f"lag, {where}", "s", found, lambda one: one.closed[connections].lag_s)
    return stored, lag


def _ratios(stored: dict[str, Figure], connections: int) -> list[Target]:
    targets = []
    ours, name = stored[VOKETAG], f"scans stored a second, {connections} connections: VokeTag"
    if GO in stored:
        targets.append(Target(f"{name} / Go", ours, stored[GO], at_least=1.5, aim=2.5))
    if GO_ALONE in stored:
        targets.append(Target(f"{name} / Go, round trips not shared", ours, stored[GO_ALONE]))
    if FASTSTREAM in stored:
        targets.append(Target(f"{name} / FastStream", ours, stored[FASTSTREAM]))
    return targets


def _opened(rounds: list[_Round]) -> tuple[list[Figure], list[Target]]:
    """What became of the scans that came by the clock."""

    def figure(
        name: str, unit: str, asked_per_s: float, value: Callable[[Drained], float]
    ) -> Figure:
        values = tuple(value(one.opened[asked_per_s]) for one in rounds)
        return Figure(f"{name}, {asked_per_s:,.0f} a second due", VOKETAG, unit, values)

    shown, targets = [], []
    for per_s in (ASKED_PER_S, SPARE_PER_S):
        answered = figure("answered with 200", "scans/s", per_s, _answered_per_s)
        failed = figure("not answered with 200", "scans", per_s, lambda one: one.measured.failed)
        lag = figure("lag", "s", per_s, lambda one: one.lag_s)
        p99 = figure("p99", "ms", per_s, lambda one: one.measured.p99_ms)
        shown += [answered, failed, lag, p99]
        if per_s == ASKED_PER_S:
            held = f"{HELD_PER_S:,.0f} a second for a minute"
            targets = [
                Target(f"{held}: answered with 200 a second", answered, at_least=HELD_PER_S),
                Target(f"{held}: not answered so", failed, at_least=0, better="less"),
                Target(f"{held}: lag at the end, s", lag, at_least=HELD_LAG_MAX_S, better="less"),
            ]
        else:
            targets.append(Target("30 % more: answered with 200 a second", answered))
    return shown, targets


def _answered_per_s(done: Drained) -> float:
    return done.measured.ok / done.measured.duration_s


def _faults(found: dict[str, list[_Round]]) -> list[str]:
    return [
        f"{system}, round {number}: {fault}."
        for system, rounds in found.items()
        for number, one in enumerate(rounds, 1)
        for fault in one.faults
    ]


SECTION = Section(
    "throughput", "Scans stored a second, and whether 6,600 a second are held", measure
)
