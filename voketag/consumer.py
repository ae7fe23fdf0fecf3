"""A consumer as data, and the one loop that runs all of them.

Three failures, three behaviours: Rejected buries the entry; Unavailable keeps everything pending
and waits; anything else is tried again entry by entry, buried after some attempts, and stops the
process after several burials in a row, because a bad deploy must not drain a stream into the dead
letters.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from voketag import metrics
from voketag.errors import Fenced, Rejected, SettingsError, Unavailable
from voketag.ownership import LEASE_MS, Ownership
from voketag.redis.connection import Command
from voketag.redis.streams import Entry, Streams
from voketag.tasks import pause
from voketag.watchdog import Watchdog

STALL_S = 600.0  # thirty times what the largest batch takes
PENDING_EVERY_S = 1.0
ATTEMPTS = 5
BURIALS_IN_A_ROW = 10
PAUSE_MIN_S = 0.05
PAUSE_MAX_S = 2.0
_TICK = "tick"

Handle = Callable[[Sequence[Entry]], Awaitable[Sequence[Command]]]
log = structlog.get_logger()


@dataclass(frozen=True)
class Consumer:
    """What one group does with its streams.

    `handle` processes entries of one stream and gives, in their order, the Redis commands that
    follow; the loop carries those out in the instant in which it acknowledges the entries. `tick`,
    where there is one, runs by itself and after entries were handled; it gives the seconds until
    it wants to run again. `buried` hears of each entry that was given up, with the reason; the
    commands of `burial` are carried out in the instant in which an entry is buried.

    `linger_s` is how long entries may gather after a batch that was not full (Kafka producers call
    it linger.ms). What a batch costs beside its entries, round trips and fsyncs above all, is then
    shared by more of them; the first entry after a pause is read at once.
    """

    group: str
    streams: tuple[str, ...]
    handle: Handle
    batch: int = 200
    linger_s: float = 0.0
    tick: Callable[[], Awaitable[float]] | None = None
    buried: Callable[[Entry, str], Awaitable[None]] | None = None
    burial: Callable[[Entry], Sequence[Command]] | None = None


class BadDeploy(Exception):
    """Nothing but burials: the process stops rather than bury the whole stream."""


class _Stopped(Exception):
    """The process stops amid the attempts at an entry."""


class Loop:
    """Runs one Consumer: owns its fair share of the streams and works on each until stopped."""

    def __init__(
        self,
        consumer: Consumer,
        streams: Streams,
        *,
        lease_ms: int = LEASE_MS,
        stall_s: float = STALL_S,
    ) -> None:
        self.consumer = consumer
        self.streams = streams
        self._watchdog = Watchdog(stall_s)
        self._ownership = Ownership(
            consumer.group, consumer.streams, streams, self._consume, self._watchdog, lease_ms
        )
        self.sharing = self._ownership.sharing  # set once it has asked for its share
        self._stopping = asyncio.Event()
        self._handled = asyncio.Event()
        self._burials_in_a_row = 0

    def stop(self) -> None:
        """Finish what is in hand, then end."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until stopped. Raises BadDeploy, or whatever bug ended a task. Cancelled, it gives
        up what is in hand, which stays pending.
        """
        tasks = [asyncio.create_task(self._ownership.keep(self._stopping), name="ownership")]
        if self.consumer.tick is not None:
            tasks.append(asyncio.create_task(self._tick(self.consumer.tick), name=_TICK))
        try:
            await asyncio.gather(*tasks)
        except asyncio.CancelledError:
            await self._ownership.abandon()
            raise
        finally:
            self._stopping.set()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._ownership.end()

    # ------------------------------------------------------------------ one stream

    async def _consume(self, stream: str) -> None:
        """Work on a stream while it is ours: first what a predecessor left, then what comes.

        The pending entries are looked at again every second: an owner that was overtaken while its
        read was under way may have been given entries that it then had to leave.
        """
        group = self.consumer.group
        pause_s = PAUSE_MIN_S
        pending, looked_at_s = True, 0.0
        with contextlib.suppress(Unavailable):  # read() makes a missing group as well, but warns
            await self.streams.ensure_group(stream, group)
        while not self._stopping.is_set() and self._ownership.keeps(stream):
            self._watchdog.progress(stream)
            try:
                if time.monotonic() - looked_at_s > PENDING_EVERY_S:
                    pending, looked_at_s = True, time.monotonic()
                entries = await self.streams.read(
                    stream, group, pending=pending, count=self.consumer.batch
                )
                if entries:
                    await self._process(entries)
                    if not pending and len(entries) < self.consumer.batch:
                        await pause(self.consumer.linger_s, self._stopping)
                else:
                    pending = False
                pause_s = PAUSE_MIN_S
            except Fenced:
                log.warning("overtaken", stream=stream, group=group)
                break
            except _Stopped:
                break
            except Unavailable as error:
                # Everything stays pending in Redis: read it again from there once it is back.
                log.warning("waiting", stream=stream, group=group, error=str(error))
                pending = True
                await pause(pause_s, self._stopping)
                pause_s = min(pause_s * 2, PAUSE_MAX_S)

    async def _process(self, entries: Sequence[Entry]) -> None:
        entries = await self._without_lost(entries)
        if not entries:
            return
        self._watchdog.progress(entries[0].stream)
        started = time.perf_counter()
        try:
            commands = await self.consumer.handle(entries)
        except (Unavailable, Fenced):
            raise
        except Exception as error:
            if len(entries) == 1:
                await self._retry(entries[0], error)
            else:
                log.warning("batch failed: entry by entry now", error=repr(error))
                for entry in entries:
                    await self._process([entry])
            return
        await self.streams.complete(self.consumer.group, entries, commands)
        self._burials_in_a_row = 0
        self._note_handled(entries[0].stream, len(entries), time.perf_counter() - started)

    async def _retry(self, entry: Entry, error: Exception) -> None:
        """Try one entry again until it succeeds or is given up."""
        attempts = 1
        while not isinstance(error, Rejected) and attempts < ATTEMPTS:
            await pause(PAUSE_MIN_S * 2**attempts, self._stopping)
            if self._stopping.is_set():
                raise _Stopped  # it stays pending, and so does what comes after it
            attempts += 1
            self._watchdog.progress(entry.stream)
            try:
                commands = await self.consumer.handle([entry])
            except (Unavailable, Fenced):
                raise
            except Exception as again:
                error = again
                continue
            await self.streams.complete(self.consumer.group, [entry], commands)
            self._burials_in_a_row = 0
            return
        await self._bury(entry, error, attempts)

    async def _bury(self, entry: Entry, error: Exception, attempts: int) -> None:
        reason = f"{type(error).__name__}: {error}"
        if self.consumer.buried is not None:
            await self.consumer.buried(entry, reason)
        burial = self.consumer.burial
        commands = burial(entry) if burial is not None else ()
        await self.streams.bury(self.consumer.group, entry, reason, attempts, commands)
        log.error(
            "buried", stream=entry.stream, entry_id=entry.entry_id, error=reason, exc_info=error
        )
        metrics.BURIED.labels(entry.stream, self.consumer.group).inc()
        self._burials_in_a_row += 1
        if self._burials_in_a_row >= BURIALS_IN_A_ROW:
            raise BadDeploy(f"{BURIALS_IN_A_ROW} burials in a row, the last for {reason}")

    async def _without_lost(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Entries that were deleted while pending are data loss: said loudly, then let go."""
        lost = [entry for entry in entries if entry.fields is None]
        if lost:
            ids = [entry.entry_id for entry in lost]
            log.critical("entries deleted before they were handled", entry_ids=ids)
            metrics.LOST.labels(lost[0].stream, self.consumer.group).inc(len(lost))
            await self.streams.complete(self.consumer.group, lost)
        return [entry for entry in entries if entry.fields is not None]

    # ------------------------------------------------------------------ time

    def _note_handled(self, stream: str, count: int, took_s: float) -> None:
        metrics.HANDLED.labels(stream, self.consumer.group).inc(count)
        metrics.HANDLE_SECONDS.labels(self.consumer.group).observe(took_s)
        self._handled.set()

    async def _tick(self, tick: Callable[[], Awaitable[float]]) -> None:
        while not self._stopping.is_set():
            self._handled.clear()
            try:
                with self._watchdog.watching(_TICK):
                    delay_s = await tick()
            except Unavailable as error:
                log.warning("waiting", group=self.consumer.group, error=str(error))
                delay_s = PAUSE_MAX_S
            except SettingsError:
                raise  # nothing here will mend it: the process ends and says so
            except Exception as error:
                log.exception("tick failed", group=self.consumer.group, exc_info=error)
                delay_s = PAUSE_MAX_S
            await pause(delay_s, self._stopping, self._handled)
