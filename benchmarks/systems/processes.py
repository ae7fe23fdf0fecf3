"""What processes cost: seconds of the processor, and memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process and all below it have taken. `cpu_s` counts since they began; memory is that
    of the moment. Of a page that n processes share, each has the whole in `rss_bytes` and an nth
    in `pss_bytes`, which can therefore be added up. Where PSS is not known (not on Linux), it is
    the resident size.
    """

    cpu_s: float
    rss_bytes: int
    pss_bytes: int


def usage(pids: Mapping[str, int]) -> dict[str, Usage]:
    """The usage of each process by name, its descendants counted in."""
    return {name: _of_tree(pid) for name, pid in pids.items()}


def cpu_s_between(before: Mapping[str, Usage], after: Mapping[str, Usage]) -> dict[str, float]:
    """The seconds of the processor that each took between two readings."""
    return {name: after[name].cpu_s - before[name].cpu_s for name in before if name in after}


def _of_tree(pid: int) -> Usage:
    cpu_s, rss, pss = 0.0, 0, 0
    for process in _tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended; its parent counts it
            times, memory = process.cpu_times(), process.memory_full_info()
            cpu_s += times.user + times.system
            # Of children that were there once, such as a Postgres session.
            cpu_s += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
            rss += memory.rss
            pss += getattr(memory, "pss", memory.rss)
    return Usage(cpu_s, rss, pss)


def _tree(pid: int) -> Iterator[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        yield root
        yield from root.children(recursive=True)
