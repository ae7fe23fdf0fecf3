"""The thread that shows that a consumer process lives, and sees to it that this is true.

It renews the leases on a connection of its own, so that a handler that awaits for a minute, or
blocks the event loop for a minute, keeps its stream; and it looks after the watchdog, so that one
that does so for ever does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

import structlog

from voketag import metrics
from voketag.errors import Unavailable
from voketag.redis.heartbeat import Beat, Heartbeat
from voketag.watchdog import Watchdog

BEATS_A_LEASE = 4
FIGURES_EVERY = 2  # beats
EVENT_LOOP = "event loop"
log = structlog.get_logger()


class Liveness:
    """Beats until ended. `heard` gets what each heartbeat learnt, in the event loop."""

    def __init__(
        self, heartbeat: Heartbeat, watchdog: Watchdog, heard: Callable[[Beat], None]
    ) -> None:
        self._heartbeat = heartbeat
        self._watchdog = watchdog
        self._heard = heard
        self._every_s = heartbeat.lease_ms / 1000 / BEATS_A_LEASE
        self._held: frozenset[str] = frozenset()  # replaced, never changed: two threads read it
        self._stopping = threading.Event()
        self._ended = asyncio.Event()
        self._ended.set()

    def start(self) -> None:
        """Begin; the event loop that runs now is the one that is watched."""
        self._ended.clear()
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._run, args=(loop,), name="liveness", daemon=True).start()

    async def end(self) -> None:
        """Beat no more. Leases that are still held run out."""
        self._stopping.set()
        await self._ended.wait()

    def hold(self, stream: str) -> None:
        """Renew the lease of this stream from now on."""
        self._held |= {stream}

    def let_go(self, stream: str) -> None:
        """Renew it no more."""
        self._held -= {stream}

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        beats, failing = 0, False
        with self._watchdog.watching(EVENT_LOOP):
            while not self._stopping.is_set():
                wait_s = self._every_s
                try:
                    figures = None if beats % FIGURES_EVERY else metrics.snapshot()
                    beat = self._heartbeat.beat(self._held, figures)
                except Unavailable as error:
                    if not failing:
                        log.warning("waiting", what="heartbeat", error=str(error))
                    failing = True
                    wait_s /= BEATS_A_LEASE  # there are leases to save
                except Exception as error:  # a bug here must not cost a live process its streams
                    log.exception("bug", what="heartbeat", exc_info=error)
                else:
                    beats, failing = beats + 1, False
                    _tell(loop, self._heard, beat)
                _tell(loop, self._watchdog.progress, EVENT_LOOP)
                self._watchdog.look(loop)
                self._stopping.wait(wait_s)
        self._watchdog.close()
        self._heartbeat.close()
        _tell(loop, self._ended.set)


def _tell(loop: asyncio.AbstractEventLoop, *call: object) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
        loop.call_soon_threadsafe(*call)  # type: ignore[arg-type]
