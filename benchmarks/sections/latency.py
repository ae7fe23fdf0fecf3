"""How long a scan takes at a steady rate, from the moment it was due."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from benchmarks.load.orders import Measured
from benchmarks.section import Bench, Figure, Found, Section, Target
from benchmarks.systems.comparing import (
    GO,
    GO_ALONE,
    VOKETAG,
    candidates,
    figures,
    in_rounds,
)
from benchmarks.systems.system import Drained, System

FOR_S = 20.0
# So many connections at each rate that none idles for the seconds after which servers end it.
CONNECTIONS = {66: 32, 660: 64, 3300: 128}
PERCENTILES: Mapping[str, Callable[[Measured], float]] = {
    "p50": lambda measured: measured.p50_ms,
    "p95": lambda measured: measured.p95_ms,
    "p99": lambda measured: measured.p99_ms,
    "p99.9": lambda measured: measured.p99_9_ms,
}

_Round = dict[int, Drained]


async def measure(bench: Bench) -> Found:
    """Open loads of every system, at rates that all of them can hold."""
    systems, notes = candidates(bench)
    found = await in_rounds(bench, systems, partial(_round, bench))
    shown: dict[tuple[str, int], dict[str, Figure]] = {}
    for per_s in CONNECTIONS:
        for name, percentile in PERCENTILES.items():
            # The picture finds them by this name.
            shown[name, per_s] = figures(
                f"{name} at {per_s:,} a second", "ms", found, partial(_value, per_s, percentile)
            )
    every = [figure for by_system in shown.values() for figure in by_system.values()]
    return Found(every, _targets(shown), [*notes, *_faults(found)])


async def _round(bench: Bench, system: System) -> _Round:
    done = {}
    for per_s, connections in CONNECTIONS.items():
        load = system.load(connections, bench.scale * FOR_S, per_s)
        done[per_s] = await system.drain(load)
        measured = done[per_s].measured
        bench.say(
            f"  {per_s:5,} a second: p50 {measured.p50_ms:.1f} ms, p95 {measured.p95_ms:.1f}, "
            f"p99 {measured.p99_ms:.1f}, p99.9 {measured.p99_9_ms:.1f}"
        )
    return done


def _value(per_s: int, percentile: Callable[[Measured], float], done: _Round) -> float:
    return percentile(done[per_s].measured)


def _targets(shown: dict[tuple[str, int], dict[str, Figure]]) -> list[Target]:
    p95_at_66 = shown["p95", 66][VOKETAG]
    targets = [Target("p95 at 66 a second, ms", p95_at_66, None, 8.0, 4.0, better="less")]
    p99_at_660 = shown["p99", 660]
    ours, name = p99_at_660[VOKETAG], "p99 at 660 a second: VokeTag / Go"
    if GO in p99_at_660:
        targets.append(Target(name, ours, p99_at_660[GO], 1.0, 0.5, better="less"))
    if GO_ALONE in p99_at_660:
        alone = f"{name}, round trips not shared"
        targets.append(Target(alone, ours, p99_at_660[GO_ALONE], better="less"))
    return targets


def _faults(found: Mapping[str, list[_Round]]) -> list[str]:
    return [
        f"{system}, round {number}, {per_s} a second: {done.fault}."
        for system, rounds in found.items()
        for number, one in enumerate(rounds, 1)
        for per_s, done in one.items()
        if done.fault
    ]


SECTION = Section("latency", "How long a scan takes at a steady rate", measure)
