"""The watchdog: ends a process in which something that is under way makes no progress.

Every wait for a server has a timeout, so this should never be needed. It is for the wait that was
forgotten: the supervisor starts the process again, and another takes its streams over meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import time
from collections.abc import Iterator
from typing import Any, NoReturn

import structlog

EXIT_STALLED = 70  # EX_SOFTWARE of sysexits.h
GRACE_S = 5.0
_STDERR = 2
log = structlog.get_logger()


class Watchdog:
    """Knows what is under way and since when without progress; `look` is for another thread than
    the one that works.

    Only time in which looks come regularly is counted: a process that was stopped, or a host that
    was suspended, has not stalled.
    """

    def __init__(self, stall_s: float) -> None:
        self.stall_s = stall_s
        self._now_s = 0.0
        self._looked_at_s = time.monotonic()
        self._progress_at_s: dict[str, float] = {}

    @contextlib.contextmanager
    def watching(self, what: str) -> Iterator[None]:
        """Something is under way while the context lasts; `progress` says that it goes on."""
        self.progress(what)
        try:
            yield
        finally:
            self._progress_at_s.pop(what, None)

    def progress(self, what: str) -> None:
        """It goes on."""
        self._progress_at_s[what] = self._now_s

    def look(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the process if something has stalled; tasks of `loop` are named after what they do.

        A thread that never lets go of the interpreter's lock keeps this one from looking as well:
        then a timer outside the interpreter, wound up with each look, ends the process.
        """
        now_s = time.monotonic()
        self._now_s += min(now_s - self._looked_at_s, GRACE_S)
        self._looked_at_s = now_s
        stalled = [
            what
            for what, at_s in list(self._progress_at_s.items())
            if self._now_s - at_s > self.stall_s
        ]
        if stalled:
            self._end(stalled, loop)
        faulthandler.dump_traceback_later(self.stall_s + GRACE_S, exit=True, file=_STDERR)

    def close(self) -> None:
        """Look no more."""
        faulthandler.cancel_dump_traceback_later()

    def _end(self, stalled: list[str], loop: asyncio.AbstractEventLoop) -> NoReturn:
        # The log may be what is stuck.
        faulthandler.dump_traceback_later(GRACE_S, exit=True, file=_STDERR)
        where = {
            task.get_name(): _waits_at(task)
            for task in asyncio.all_tasks(loop)
            if task.get_name() in stalled
        }
        log.critical("no progress", what=stalled, for_s=self.stall_s, waits_at=where)
        faulthandler.dump_traceback(file=_STDERR)
        os._exit(EXIT_STALLED)


def _waits_at(task: asyncio.Task[Any]) -> list[str]:
    """The places at which a task waits, the outermost first."""
    places: list[str] = []
    awaited: Any = task.get_coro()
    while (frame := getattr(awaited, "cr_frame", None)) is not None:
        places.append(f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}")
        awaited = awaited.cr_await
    return places
