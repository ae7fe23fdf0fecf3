"""Which streams this process works on: a fair share of them, each under a lease."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

import structlog

from voketag.errors import Unavailable
from voketag.liveness import Liveness
from voketag.redis.heartbeat import Beat, Heartbeat
from voketag.redis.streams import Streams
from voketag.tasks import end, pause
from voketag.watchdog import Watchdog

LEASE_MS = 2000
LOOKS_A_LEASE = 8
PAUSE_S = 1.0
LEAVE_S = 2.0
log = structlog.get_logger()

Work = Callable[[str], Awaitable[None]]


class Ownership:
    """Runs `work` on each stream while it is this process's; `work` ends once `keeps` says no.

    All that a stream owes its owner, `work` has done when it returns: the lease is given back then.
    """

    def __init__(
        self,
        group: str,
        names: Sequence[str],
        streams: Streams,
        work: Work,
        watchdog: Watchdog,
        lease_ms: int = LEASE_MS,
    ) -> None:
        self._group = group
        self._names = list(names)
        self._streams = streams
        self._work = work
        self._watchdog = watchdog
        self._lease_ms = lease_ms
        heartbeat = Heartbeat(streams.url, streams.boot_id, group, lease_ms)
        self._liveness = Liveness(heartbeat, watchdog, self._hear)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._released: set[str] = set()
        self._alive: int | None = 0  # 0: not heard of yet
        self._changed = asyncio.Event()
        self.sharing = asyncio.Event()  # set once it has asked for its share of the streams

    def keeps(self, stream: str) -> bool:
        """Whether the stream is to be worked on further."""
        return stream not in self._released

    async def keep(self, stopping: asyncio.Event) -> None:
        """Hold a fair share until `stopping`. Raises what a task of `work` has raised."""
        self._liveness.start()
        while not stopping.is_set():
            self._changed.clear()
            pause_s = self._lease_ms / 1000 / LOOKS_A_LEASE
            try:
                await self._share()
                if self._alive != 0:
                    self.sharing.set()
            except Unavailable as error:
                log.warning("waiting", group=self._group, error=str(error))
                pause_s = PAUSE_S
            await pause(pause_s, stopping, self._changed)

    async def abandon(self) -> None:
        """Give up what is in hand, which stays pending."""
        await end(*self._tasks.values())

    async def end(self) -> None:
        """Wait for what is in hand, then be gone; where Redis does not answer, soon."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        with contextlib.suppress(Unavailable, TimeoutError):  # leases run out by themselves
            async with asyncio.timeout(LEAVE_S):
                await self._leave()

    async def _leave(self) -> None:
        await self._liveness.end()
        for stream in self._names:
            await self._streams.disown(stream, self._group)
        await self._streams.leave(self._group)

    async def _share(self) -> None:
        """Give up what is more than a fair share, take what is free: once the first heartbeat has
        told how many share, and no stream whose task has not ended yet. While nobody can tell, what
        is free is taken: it has been left behind.
        """
        self._reap()
        if self._alive == 0:
            return
        fair = len(self._names) if self._alive is None else -(-len(self._names) // self._alive)
        for stream in self._names:
            if len(self._tasks) - len(self._released) > fair:
                if stream in self._tasks:
                    self._released.add(stream)  # its task ends after the batch in hand
            elif len(self._tasks) < fair and stream not in self._tasks:
                try:
                    await self._take(stream)
                except Unavailable:  # of a cluster the servers of others may answer: those first
                    self._names = [one for one in self._names if one != stream] + [stream]
                    raise

    def _reap(self) -> None:
        """Forget tasks that have ended; a bug or BadDeploy in one of them ends the process."""
        for stream, task in list(self._tasks.items()):
            if task.done():
                del self._tasks[stream]
                self._released.discard(stream)
                task.result()

    async def _take(self, stream: str) -> None:
        """Take a stream if it is free. Its lease is renewed from before it is known to be ours: the
        answer may have to wait for a handler that blocks the event loop.
        """
        self._liveness.hold(stream)
        owned = False
        try:
            owned = await self._streams.own(stream, self._group, self._lease_ms)
        finally:
            if not owned:
                self._liveness.let_go(stream)
        if owned:
            self._tasks[stream] = asyncio.create_task(self._own(stream), name=stream)

    async def _own(self, stream: str) -> None:
        with self._watchdog.watching(stream):
            await self._work(stream)
            self._liveness.let_go(stream)
            with contextlib.suppress(Unavailable):  # a lease runs out by itself
                await self._streams.disown(stream, self._group)

    def _hear(self, beat: Beat) -> None:
        """What the heartbeat learnt: how many share the streams, and which ones were overtaken
        while this process stood still.
        """
        for stream in beat.lost & self._tasks.keys() - self._released:
            log.warning("lease lost", stream=stream, group=self._group)
            self._liveness.let_go(stream)
            self._released.add(stream)
        if beat.alive != self._alive:
            self._alive = beat.alive
            self._changed.set()
