"""How fast a factory's batches are made, and in how much memory."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks.factories import pushing, started
from benchmarks.factories.factory import Factory
from benchmarks.factories.pushing import Took
from benchmarks.memory import MIB, Memory, watched
from benchmarks.peers import SEED_FACTORY, Missing
from benchmarks.section import Bench, Figure, Found, Section, Target
from benchmarks.systems.processes import cpu_s_between, usage
from benchmarks.systems.voketag import NAME, programs_of

PRODUCTS = 1_000  # of a usual batch
AT_ONCE = 8
BATCHES = 600  # some ten seconds: a table that fills is slower than one that is new
WARM_UP_BATCHES = 16
SINGLES = 11
SIZES = (1, 1_000, 100_000)
LARGEST = 1_000_000
WITHIN_S = 180.0
OURS = ("factory", "register")

Start = Callable[[Path], AbstractAsyncContextManager[Factory]]


@dataclass
class _Findings:
    """What one system did: a value a round, what each size took, and in how much memory."""

    per_s: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)  # of a batch, all processes and servers
    single_ms: list[float] = field(default_factory=list)
    took: dict[int, list[Took]] = field(default_factory=dict)
    memory: dict[str, dict[str, Memory]] = field(default_factory=dict)


async def measure(bench: Bench) -> Found:
    """One system at a time, started anew for each round; large batches in the first round alone."""
    notes = [
        "No rate of batches is limited here; VokeTag accepts 1,200 a minute from a factory unless "
        "told otherwise.",
        f"VokeTag makes batches in {started.REGISTERS} processes, {SEED_FACTORY.name} in 4.",
        f"Neither anchors while batches are in flight. Otherwise VokeTag does; {SEED_FACTORY.name} "
        "never, and completes what it stored.",
    ]
    starts: dict[str, Start] = {
        NAME: started.voketag,
        SEED_FACTORY.name: partial(started.peer, SEED_FACTORY),
    }
    found: dict[str, _Findings] = {}
    for number in range(1, bench.rounds + 1):
        for name, start in list(starts.items()):
            findings = found.setdefault(name, _Findings())
            try:
                with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
                    async with start(Path(folder)) as factory:
                        await _round(bench, factory, findings, number)
            except Missing as missing:
                notes.append(f"{name} NOT MEASURED: {missing}")
                del starts[name], found[name]
    return _found(found, notes)


async def _round(bench: Bench, factory: Factory, found: _Findings, number: int) -> None:
    await pushing.in_flight_per_s(factory, WARM_UP_BATCHES, PRODUCTS, AT_ONCE)
    await _usual(bench, factory, found)
    bench.say(
        f"round {number}, {factory.name}: {found.per_s[-1]:,.0f} products/s, "
        f"{found.cpu_ms[-1]:.1f} ms of the processor a batch, one in {found.single_ms[-1]:.1f} ms"
    )
    if number == 1:
        await factory.rest(WITHIN_S)
        for size in _sizes(bench.scale):
            await _size(bench, factory, found, size)


def _sizes(scale: float) -> list[int]:
    """How large the batches are that are made once: a shortened run makes smaller ones."""
    sizes = [max(1, round(size * min(1.0, scale))) if size > PRODUCTS else size for size in SIZES]
    return [*sizes, LARGEST] if scale >= 1 else sizes


async def _usual(bench: Bench, factory: Factory, found: _Findings) -> None:
    """Usual batches: several at once, then one by one."""
    batches = max(AT_ONCE, round(BATCHES * bench.scale))
    memory = found.memory.setdefault(f"{AT_ONCE} batches of {PRODUCTS:,} in flight", {})
    async with _unanchored(factory):
        before = usage(factory.pids(servers=True))
        async with watched(_makers(factory), memory):
            per_s = await pushing.in_flight_per_s(factory, batches, PRODUCTS, AT_ONCE)
        used_s = cpu_s_between(before, usage(factory.pids(servers=True)))
    found.per_s.append(per_s)
    found.cpu_ms.append(1000 * sum(used_s.values()) / batches)
    singles = max(3, round(SINGLES * min(1.0, bench.scale)))
    took = [await pushing.until_stored_s(factory, PRODUCTS, WITHIN_S) for _ in range(singles)]
    found.single_ms.append(1000 * statistics.median(took))


@contextlib.asynccontextmanager
async def _unanchored(factory: Factory) -> AsyncIterator[None]:
    """Roots wait meanwhile: what is compared is storing."""
    if factory.name != NAME:
        yield
        return
    await factory.programs.stop("anchor")
    yield
    await factory.programs.start(programs_of()["anchor"])


async def _size(bench: Bench, factory: Factory, found: _Findings, size: int) -> None:
    async with watched(_makers(factory), found.memory.setdefault(f"a batch of {size:,}", {})):
        took = await pushing.one(factory, size, WITHIN_S)
    found.took.setdefault(size, []).append(took)
    bench.say(
        f"{size:,} products, {factory.name}: accepted in {1000 * took.accepted_s:.1f} ms, "
        f"stored in {took.stored_s:.3f} s, completed in {took.completed_s:.2f} s"
    )


def _makers(factory: Factory) -> dict[str, int]:
    """The processes whose memory is watched: of ours those that make batches, of a peer all."""
    pids = factory.pids()
    if factory.name != NAME:
        return pids
    return {name: pid for name, pid in pids.items() if name.partition(".")[0] in OURS}


def _found(found: Mapping[str, _Findings], notes: Sequence[str]) -> Found:
    per_s = {
        name: Figure(
            f"products stored, {AT_ONCE} batches of {PRODUCTS:,} in flight",
            name,
            "products/s",
            tuple(findings.per_s),
        )
        for name, findings in found.items()
    }
    single = {
        name: Figure(f"a batch of {PRODUCTS:,} stored", name, "ms", tuple(findings.single_ms))
        for name, findings in found.items()
    }
    cpu = {
        name: Figure(f"processor time of {PRODUCTS:,} products", name, "ms", tuple(one.cpu_ms))
        for name, one in found.items()
    }
    ours = single[NAME]
    targets = [Target(ours.name, ours, at_least=50, aim=25, better="less")]
    for name in found.keys() - {NAME}:
        targets += [
            Target("products stored / " + name, per_s[NAME], per_s[name], 2.0, 4.0),
            Target(f"{ours.name} / {name}", ours, single[name], better="less"),
            Target(f"{cpu[NAME].name} / {name}", cpu[NAME], cpu[name], better="less"),
        ]
    figures = [*per_s.values(), *cpu.values(), *single.values()]
    for name, findings in found.items():
        figures += _times(name, findings.took)
        figures += _memory(name, findings.memory)
    return Found(figures, targets, notes)


def _times(name: str, took: Mapping[int, Sequence[Took]]) -> list[Figure]:
    figures = []
    for size, times in took.items():
        for what, values in (
            ("accepted", [one.accepted_s for one in times]),
            ("stored", [one.stored_s for one in times]),
            ("completed", [one.completed_s for one in times]),
        ):
            figure = Figure(f"{size:,} products {what}", name, "s", tuple(values))
            figures.append(figure)
    return figures


def _memory(name: str, memory: Mapping[str, Mapping[str, Memory]]) -> list[Figure]:
    figures = []
    for during, processes in memory.items():
        for process, most in processes.items():
            for kind, size in (("resident", most.rss_bytes), ("proportional", most.pss_bytes)):
                what = f"{process}: most {kind} memory, {during}"
                figures.append(Figure(what, name, "MiB", (size / MIB,)))
    return figures


SECTION = Section("factory", "Batches of products", measure)
