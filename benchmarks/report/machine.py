"""What the figures were taken on, which a reader has to know to read them."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from voketag.stack import chain, postgres, redis
from voketag.stack.home import StackError

_REPOSITORY = Path(__file__).parents[2]
_GIB = 2.0**30
OTHERS_MAX_PERCENT = 5.0


def taken() -> dict[str, Any]:
    """When, of which commit and on what machine a section is measured."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": {
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
            "memory_gib": round(psutil.virtual_memory().total / _GIB, 1),
            "kernel": f"{platform.system()} {platform.release()}",
            "python": platform.python_version(),
            **_servers(),
        },
    }


class Others:
    """How much of the machine others use from here on; they take it from what is measured."""

    def __init__(self) -> None:
        self._begun_s = time.monotonic()
        self._before_s = _used_s()

    def percent(self) -> float:
        """Of all cores, up to now. Ours is what we and the processes that we have ended used. The
        clocks of processors tick in hundredths of a second, so of an instant it says little.
        """
        all_s, ours_s = (
            now - before for now, before in zip(_used_s(), self._before_s, strict=True)
        )
        whole_s = (time.monotonic() - self._begun_s) * (os.cpu_count() or 1)
        return min(100.0, max(0.0, 100 * (all_s - ours_s) / whole_s))


def _used_s() -> tuple[float, float]:
    """Seconds of the processors that were used so far: by all, a hypervisor among them, by us."""
    times = psutil.cpu_times()
    used_s = times.user + times.system + times.nice + getattr(times, "steal", 0.0)
    ours_s = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        ours_s += usage.ru_utime + usage.ru_stime
    return used_s, ours_s


def _commit() -> str:
    commit = _said(["git", "rev-parse", "--short=12", "HEAD"]) or "unknown"
    changed = _said(["git", "status", "--porcelain", "--", ".", ":!benchmarks/results"])
    return f"{commit} with changes" if changed else commit


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _servers() -> dict[str, str]:
    """The versions of the servers that are embedded, and of Go."""
    found: dict[str, str] = {}
    try:
        found["redis"] = _said([str(redis.find_binary()), "--version"])
        found["postgres"] = _said([str(postgres.find_binaries(_REPOSITORY) / "postgres"), "-V"])
        found["chain"] = _said([str(chain.find_binary()), "--version"])
    except StackError as error:
        found["missing"] = str(error)
    if go := shutil.which("go"):
        found["go"] = _said([go, "version"])
    return found


def _said(command: Sequence[str]) -> str:
    """The first line that a command prints; nothing where there is no such command."""
    try:
        done = subprocess.run(
            command, cwd=_REPOSITORY, capture_output=True, text=True, check=False, timeout=30
        )
    except OSError:
        return ""
    return done.stdout.strip().partition("\n")[0]
