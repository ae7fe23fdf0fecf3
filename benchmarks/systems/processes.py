"""What processes cost: seconds of the processor, and memory."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

READINGS_MAX = 10  # of a tree whose processes come and go


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
    for _ in range(READINGS_MAX):
        usage, vanished = _read_tree(pid)
        if not vanished:
            break
    return usage


def _read_tree(pid: int) -> tuple[Usage, bool]:
    """The usage, and whether a process ended meanwhile: its parent, read before, counts it now."""
    cpu_s, rss, pss, vanished = 0.0, 0, 0, False
    for process in _tree(pid):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            vanished = True
            continue
        # Of children that were there once, such as a Postgres session.
        of_children = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
        cpu_s += times.user + times.system + of_children
        with contextlib.suppress(psutil.NoSuchProcess):  # what has ended takes no memory
            memory = process.memory_full_info()
            rss += memory.rss
            pss += getattr(memory, "pss", memory.rss)
    return Usage(cpu_s, rss, pss), vanished


def _tree(pid: int) -> list[psutil.Process]:
    """A process and its descendants, each after its parent; none where it is gone."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
