"""The memory of processes while something is going on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import psutil

from voketag.tasks import end

EVERY_S = 0.1
MIB = 2.0**20


@dataclass(slots=True)
class Memory:
    """The most that a process and all below it had at any time, in bytes. Of a page that n
    processes share each has the whole in `rss_bytes` and an nth in `pss_bytes`, which can be added
    up. Where PSS is not known (not on Linux) it is the resident size.
    """

    rss_bytes: int = 0
    pss_bytes: int = 0


@contextlib.asynccontextmanager
async def watched(pids: Mapping[str, int]) -> AsyncIterator[dict[str, Memory]]:
    """The memory of each of these processes during the context, looked at every tenth of a second;
    by name, to be read behind the context.
    """
    most = {name: Memory() for name in pids}
    watching = asyncio.create_task(_watch(pids, most))
    try:
        yield most
    finally:
        await end(watching)
        _look(pids, most)


async def _watch(pids: Mapping[str, int], most: dict[str, Memory]) -> None:
    while True:
        await asyncio.to_thread(_look, pids, most)
        await asyncio.sleep(EVERY_S)


def _look(pids: Mapping[str, int], most: dict[str, Memory]) -> None:
    for name, pid in pids.items():
        rss_bytes = pss_bytes = 0
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)
            for process in (root, *root.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    found = process.memory_full_info()
                    rss_bytes += found.rss
                    pss_bytes += getattr(found, "pss", found.rss)
        most[name].rss_bytes = max(most[name].rss_bytes, rss_bytes)
        most[name].pss_bytes = max(most[name].pss_bytes, pss_bytes)
