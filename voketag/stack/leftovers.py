"""Processes that an earlier run left behind: recorded when started, ended before the next start.

The kernel of Linux ends them by itself when their supervisor dies. This is the net below that, and
all there is on systems without such a signal.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from pathlib import Path

import psutil

from voketag.stack.home import make_private, write_private

# A process is known by its pid and the second it was made: a pid alone is given out again.
SAME_PROCESS_S = 2.0
GRACE_S = 5.0


def record(home: Path, name: str, pid: int, stop_signal: signal.Signals) -> None:
    """Note that we started this process."""
    with contextlib.suppress(psutil.NoSuchProcess):
        made = psutil.Process(pid).create_time()
        write_private(make_private(home / "pids") / name, f"{pid} {made:.2f} {int(stop_signal)}\n")


def forget(home: Path, name: str) -> None:
    """Note that it ended."""
    (home / "pids" / name).unlink(missing_ok=True)


def rename(home: Path, name: str, other: str) -> None:
    """Note that it has another name now, in the place of whoever had that."""
    with contextlib.suppress(FileNotFoundError):
        (home / "pids" / name).replace(home / "pids" / other)


async def sweep(home: Path) -> list[str]:
    """End what an earlier run on this data directory left running. The names of those ended.

    Only the holder of the directory's lock may call this.
    """
    records = sorted((home / "pids").glob("*"))
    found = {path.name: left for path in records if (left := _leftover(path)) is not None}
    for process, stop_signal in found.values():
        _send(process, stop_signal)
    await _gone([process for process, _ in found.values()])
    for process, _ in found.values():
        _send(process, signal.SIGKILL)
    await _gone([process for process, _ in found.values()])
    for path in records:
        path.unlink(missing_ok=True)
    return list(found)


async def _gone(processes: list[psutil.Process]) -> None:
    """Wait until all have ended, or the grace is over."""
    deadline = time.monotonic() + GRACE_S
    while any(map(_alive, processes)) and time.monotonic() < deadline:  # noqa: ASYNC110
        # Nothing tells us of the end of a process that is not our child.
        await asyncio.sleep(0.01)


def _leftover(path: Path) -> tuple[psutil.Process, signal.Signals] | None:
    """The process of a record, if it is still that one."""
    try:
        pid, made, stop_signal = path.read_text().split()
        process = psutil.Process(int(pid))
        if abs(process.create_time() - float(made)) > SAME_PROCESS_S or not _alive(process):
            return None
        return process, signal.Signals(int(stop_signal))
    except (ValueError, psutil.Error):
        return None


def _alive(process: psutil.Process) -> bool:
    try:
        # One that has ended stays in the table as a zombie where nothing reaps orphans.
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.Error):
        process.send_signal(number)
