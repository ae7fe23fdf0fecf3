"""The most memory of processes while something is going on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from benchmarks.systems.processes import usage
from voketag.tasks import end

EVERY_S = 0.25  # a look takes a millisecond of the processor for each process
MIB = 2.0**20


@dataclass(slots=True)
class Memory:
    """The most that a process and all below it had at any time; see Usage."""

    rss_bytes: int = 0
    pss_bytes: int = 0

    def add(self, rss_bytes: int, pss_bytes: int) -> None:
        """Note another look at it."""
        self.rss_bytes = max(self.rss_bytes, rss_bytes)
        self.pss_bytes = max(self.pss_bytes, pss_bytes)


@contextlib.asynccontextmanager
async def watched(pids: Mapping[str, int], most: dict[str, Memory]) -> AsyncIterator[None]:
    """Look at these processes four times a second during the context, and note the most of each
    by its name.
    """
    watching = asyncio.create_task(_watch(pids, most))
    try:
        yield
    finally:
        await end(watching)
    await _look(pids, most)


async def _watch(pids: Mapping[str, int], most: dict[str, Memory]) -> None:
    while True:
        await _look(pids, most)
        await asyncio.sleep(EVERY_S)


async def _look(pids: Mapping[str, int], most: dict[str, Memory]) -> None:
    for name, used in (await asyncio.to_thread(usage, pids)).items():
        most.setdefault(name, Memory()).add(used.rss_bytes, used.pss_bytes)
