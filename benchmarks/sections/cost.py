"""What a scan costs: seconds of the processors, bytes written, and memory held."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from benchmarks.load.orders import Load
from benchmarks.section import Bench, Figure, Found, Section, Target
from benchmarks.systems.comparing import VOKETAG, candidates, figures, in_rounds
from benchmarks.systems.processes import Usage, cpu_s_between
from benchmarks.systems.system import Drained, System
from benchmarks.systems.written import Written, counted
from voketag.stack.stack import VARIABLES

DAILY_PER_S = 12.0  # a million scans a day
DAILY_FOR_S = 30.0
DAILY_CONNECTIONS = 16
FULL_FOR_S = 20.0
FULL_CONNECTIONS = 50
MEMORY_MAX_MB, MEMORY_AIM_MB = 500.0, 300.0
DAILY, FULL = "at 1M a day", "at full load"
PROGRAMS = "programs"
_MEGA = 1e6


@dataclass(frozen=True)
class _Cost:
    """A load and what it took; memory is that of its end."""

    done: Drained
    cpu_s: Mapping[str, float]
    memory: Mapping[str, Usage]
    written: Written

    def per_million(self, amount: float) -> float:
        """What a million scans would take."""
        return amount / self.done.measured.ok * _MEGA


_Round = dict[str, _Cost]


async def measure(bench: Bench) -> Found:
    """The same two loads on every system."""
    systems, notes = candidates(bench)
    found = await in_rounds(bench, systems, partial(_round, bench))
    shown: list[Figure] = []
    for load in (DAILY, FULL):
        shown += _of_processors(found, load)
    shown += _of_bytes(found)
    programs = figures(f"memory (PSS) of its {PROGRAMS} {FULL}", "MB", found, _programs_mb)
    shown += programs.values()
    shown += _of_memory(found)
    targets = [
        Target(
            f"memory (PSS) of all our Python processes {FULL}, MB",
            programs[VOKETAG],
            None,
            MEMORY_MAX_MB,
            MEMORY_AIM_MB,
            better="less",
        )
    ]
    return Found(shown, targets, [*notes, *_faults(found)])


async def _round(bench: Bench, system: System) -> _Round:
    daily = system.load(DAILY_CONNECTIONS, bench.scale * DAILY_FOR_S, DAILY_PER_S)
    full = system.load(FULL_CONNECTIONS, bench.scale * FULL_FOR_S)
    found = {DAILY: await _cost(system, daily), FULL: await _cost(system, full)}
    for load, cost in found.items():
        cpu_s = cost.per_million(sum(cost.cpu_s.values()))
        bench.say(
            f"  {load}: {cost.done.measured.per_s:,.0f} scans a second, {cpu_s:,.0f} processor "
            f"seconds a million scans, {_programs_mb(found):.0f} MB of programs"
        )
    return found


async def _cost(system: System, load: Load) -> _Cost:
    before = system.usage()
    async with counted(system) as written:
        done = await system.drain(load)
        after = system.usage()
    return _Cost(done, cpu_s_between(before, after), after, written)


def _of_processors(found: dict[str, list[_Round]], load: str) -> list[Figure]:
    """Seconds of the processors a million scans: of each server, and of all the programs."""
    shown: list[Figure] = []
    for part in (PROGRAMS, *VARIABLES):
        having = {
            system: rounds
            for system, rounds in found.items()
            if part == PROGRAMS or part in rounds[0][load].cpu_s
        }
        value = partial(_cpu_s, load, part)
        shown += figures(f"processor {load}: {part}", "s/M scans", having, value).values()
    whole = partial(_cpu_s, load, None)
    shown += figures(f"processor {load}: all", "s/M scans", found, whole).values()
    return shown


def _cpu_s(load: str, part: str | None, one: _Round) -> float:
    cost = one[load]
    if part is None:
        return cost.per_million(sum(cost.cpu_s.values()))
    if part == PROGRAMS:
        return cost.per_million(sum(s for name, s in cost.cpu_s.items() if name not in VARIABLES))
    return cost.per_million(cost.cpu_s[part])


def _of_bytes(found: dict[str, list[_Round]]) -> list[Figure]:
    parts: dict[str, Callable[[Written], int]] = {
        "Redis' append-only file": lambda written: written.redis_log,
        "Postgres' tables and indexes": lambda written: written.postgres_tables,
        "Postgres' log (WAL)": lambda written: written.postgres_log,
    }
    shown: list[Figure] = []
    for load in (DAILY, FULL):
        for part, amount in parts.items():
            value = partial(_written_mb, load, amount)
            shown += figures(f"written {load}: {part}", "MB/M scans", found, value).values()
    return shown


def _written_mb(load: str, amount: Callable[[Written], int], one: _Round) -> float:
    cost = one[load]
    return cost.per_million(amount(cost.written)) / _MEGA


def _of_memory(found: dict[str, list[_Round]]) -> list[Figure]:
    """The memory of each process of each system at the end of the full load, in both measures."""
    shown: list[Figure] = []
    for system, rounds in found.items():
        for process in rounds[0][FULL].memory:
            for kind, value in (("PSS", _pss_mb), ("RSS", _rss_mb)):
                name = f"memory ({kind}) {FULL}: {process}"
                amount = partial(value, process)
                shown += figures(name, "MB", {system: rounds}, amount).values()
    return shown


def _pss_mb(process: str, one: _Round) -> float:
    return one[FULL].memory[process].pss_bytes / _MEGA


def _rss_mb(process: str, one: _Round) -> float:
    return one[FULL].memory[process].rss_bytes / _MEGA


def _programs_mb(one: _Round) -> float:
    used = one[FULL].memory.items()
    return sum(usage.pss_bytes for name, usage in used if name not in VARIABLES) / _MEGA


def _faults(found: Mapping[str, list[_Round]]) -> list[str]:
    return [
        f"{system}, round {number}, {load}: {cost.done.fault}."
        for system, rounds in found.items()
        for number, one in enumerate(rounds, 1)
        for load, cost in one.items()
        if cost.done.fault
    ]


SECTION = Section("cost", "What a scan costs in processors, bytes and memory", measure)
