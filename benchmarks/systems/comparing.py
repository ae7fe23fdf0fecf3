"""Which systems there are to compare, and their rounds."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from benchmarks.peers import FASTSTREAM_SCAN, SEED_SCAN, SEED_SCAN_ALONE, Missing, Peer
from benchmarks.section import Bench, Figure
from benchmarks.systems import peer, voketag
from benchmarks.systems.system import System

VOKETAG, FASTSTREAM = voketag.NAME, FASTSTREAM_SCAN.name
GO, GO_ALONE = SEED_SCAN.name, SEED_SCAN_ALONE.name
LAST_LINES = 20  # of what programs said, shown where a measurement fails
Value = TypeVar("Value")
Start = Callable[[Path], AbstractAsyncContextManager[System]]


@dataclass(frozen=True)
class Candidate:
    """A system that can be started in an empty folder."""

    name: str
    start: Start


def candidates(bench: Bench) -> tuple[list[Candidate], list[str]]:
    """VokeTag and the peers that scan; and a note for each peer that is not installed."""
    found, notes = [Candidate(VOKETAG, voketag.started)], []
    for one in (SEED_SCAN, SEED_SCAN_ALONE, FASTSTREAM_SCAN):
        try:
            found.append(Candidate(one.name, partial(peer.started, one, _built(bench, one))))
        except Missing as missing:
            notes.append(f"{one.name} NOT MEASURED: {missing}")
    return found, notes


async def in_rounds(
    bench: Bench,
    systems: Sequence[Candidate],
    measure: Callable[[System], Awaitable[Value]],
) -> dict[str, list[Value]]:
    """Measure each system once a round, in turn: round 1 of all, then 2. By name, a value a round.

    Each is started anew in an empty folder and warmed up, and ended before the next one starts.
    """
    found: dict[str, list[Value]] = {system.name: [] for system in systems}
    for number in range(1, bench.rounds + 1):
        for candidate in systems:
            bench.say(f"round {number} of {bench.rounds}: {candidate.name}")
            with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
                found[candidate.name].append(
                    await _measured(bench, candidate, Path(folder), measure)
                )
    return found


async def _measured(
    bench: Bench,
    candidate: Candidate,
    folder: Path,
    measure: Callable[[System], Awaitable[Value]],
) -> Value:
    """Measure a system in this folder; where that fails, say what its programs said last."""
    try:
        async with candidate.start(folder) as system:
            await system.warm_up()
            return await measure(system)
    except Exception:
        for line in _last_words(folder):
            bench.say(line)
        raise


def _last_words(folder: Path) -> list[str]:
    """The end of what the programs of a system said."""
    said = []
    for log in (folder / "programs.log", *sorted(folder.glob("programs/logs/*.log"))):
        if log.exists():
            said.append(f"the end of {log.name}:")
            said += log.read_text(errors="replace").splitlines()[-LAST_LINES:]
    return said


def figures(
    name: str, unit: str, found: dict[str, list[Value]], value: Callable[[Value], float]
) -> dict[str, Figure]:
    """One figure of each system that was measured, by the system's name."""
    return {
        system: Figure(name, system, unit, tuple(value(one) for one in rounds))
        for system, rounds in found.items()
    }


def _built(bench: Bench, one: Peer) -> Path:
    """Build a peer once a section. Raises Missing."""
    folder = Path(tempfile.mkdtemp(prefix="built-", dir=bench.folder))
    if one.build is not None:
        one.build(folder)
    return folder
