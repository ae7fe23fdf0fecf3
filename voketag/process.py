"""What every process has around it: the event loop, signals, logs, and its wires, opened and closed
in one place.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
import uvloop

from voketag import logs
from voketag import settings as settings_module
from voketag.consumer import STALL_S, Consumer, Loop
from voketag.errors import SettingsError
from voketag.ownership import LEASE_MS
from voketag.readiness import tell_ready
from voketag.redis.cluster_intake import open_intake
from voketag.redis.intake import Intake
from voketag.redis.streams import Streams
from voketag.settings import Settings
from voketag.start_checks import checked
from voketag.traces import OFF, Tracer

if TYPE_CHECKING:
    from voketag.chain.client import Chain
    from voketag.records.database import Database
    from voketag.records.replica import Reads
    from voketag.tracing.tracer import Traces

COLLECT_AFTER = 20_000  # objects that can be part of a cycle: a few MB
STOP_GRACE_S = 7.0  # a supervisor kills after 10
log = structlog.get_logger()


@dataclass(frozen=True)
class Wires:
    """The outside systems as one process sees them; what it did not ask for is not opened."""

    settings: Settings
    streams: Streams
    intake: Intake
    _database: Database | None = None
    _chain: Chain | None = None
    _reads: Reads | None = None
    _traces: Traces | None = None

    @property
    def database(self) -> Database:
        """The Postgres wire. A process that did not ask for it has a bug."""
        if self._database is None:
            raise RuntimeError("this process did not open the database")
        return self._database

    @property
    def reads(self) -> Reads:
        """Reads that may lag by a moment, by the replica where this process asked for it."""
        if self._reads is None:
            raise RuntimeError("this process did not open the database")
        return self._reads

    @property
    def has_replica(self) -> bool:
        """Whether this process asked for the replica, and there is one."""
        return self._reads is not None and self._reads.has_replica

    @property
    def has_database(self) -> bool:
        """Whether this process asked for Postgres."""
        return self._database is not None

    @property
    def has_chain(self) -> bool:
        """Whether this process asked for the chain."""
        return self._chain is not None

    @property
    def chain(self) -> Chain:
        """The chain wire. A process that did not ask for it has a bug."""
        if self._chain is None:
            raise RuntimeError("this process did not open the chain")
        return self._chain

    def tracer(self, process: str) -> Tracer:
        """The tracer of the process called so in the Procfile; one that traces nothing where no
        setting asks for traces.
        """
        return OFF if self._traces is None else self._traces.tracer(process)


@contextlib.asynccontextmanager
async def open_wires(
    settings: Settings, *, database: bool = False, replica: bool = False, chain: bool = False
) -> AsyncIterator[Wires]:
    """Open what a process needs, close it afterwards. Servers may still be starting: nothing here
    waits for them.

    `replica`: beside the database its replica as well, where the settings name one.
    """
    async with contextlib.AsyncExitStack() as stack:
        streams = Streams(settings.redis_url, secrets.token_hex(8))
        stack.push_async_callback(streams.close)
        intake = open_intake(
            settings.redis_url,
            settings.shards,
            settings.scan_rate_limit,
            settings.redis_replicas or 0,
        )
        stack.push_async_callback(intake.close)
        opened_database = opened_chain = reads = None
        # Imported where they are needed: a process that speaks to Redis alone stays small.
        if database:
            from voketag.records.database import Database
            from voketag.records.replica import Reads

            opened_database = await Database.open(settings.database_url)
            stack.push_async_callback(opened_database.close)
            read_url = settings.database_read_url if replica else None
            standby = await Database.open(read_url, standby=True) if read_url else None
            reads = Reads(opened_database, standby)
            stack.push_async_callback(reads.close)
        if chain:
            from voketag.chain.client import Chain

            opened_chain = Chain(settings.chain_url)
            stack.push_async_callback(opened_chain.close)
        traces = _traces(settings, streams.boot_id)
        if traces is not None:
            stack.push_async_callback(asyncio.to_thread, traces.close)
        yield Wires(settings, streams, intake, opened_database, opened_chain, reads, traces)


def _traces(settings: Settings, boot_id: str) -> Traces | None:
    if settings.traces_url is None:
        return None
    from voketag.tracing.tracer import Traces

    return Traces(settings.traces_url, settings.traces_ratio, boot_id)


async def refuse_forgetful(wires: Wires, stopping: asyncio.Event) -> None:
    """For a process that promises to keep what only Redis holds: wait until Redis answers or
    `stopping`. Raises SettingsError where it can lose writes and no setting accepts that.
    """
    if not wires.settings.redis_may_lose:
        await wires.streams.refuse_forgetful(stopping, wires.settings.redis_replicas)


def run_consumer(
    build: Callable[[Wires], Consumer],
    *,
    database: bool = False,
    chain: bool = False,
    partitions: bool = False,
    lease_ms: int = LEASE_MS,
    stall_s: float = STALL_S,
    redis_keeps: bool = False,
) -> None:
    """The main program of a consumer: runs until SIGTERM or SIGINT, finishes its batch, leaves.

    `partitions`: it stores rows that lie in monthly partitions, which must be there at its start.
    `redis_keeps`: nothing but Redis holds its work, so it starts with none that can lose it.
    """

    async def serve(settings: Settings, stopping: asyncio.Event) -> None:
        async with (
            open_wires(settings, database=database, chain=chain) as wires,
            checked(wires, stopping, partitions=partitions),
        ):
            if redis_keeps:
                await refuse_forgetful(wires, stopping)
            loop = Loop(build(wires), wires.streams, lease_ms=lease_ms, stall_s=stall_s)
            running = asyncio.create_task(loop.run())
            stopped = asyncio.create_task(stopping.wait())
            telling = asyncio.create_task(_tell_once(loop.sharing))
            await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            telling.cancel()
            loop.stop()
            _, unfinished = await asyncio.wait({running}, timeout=STOP_GRACE_S)
            if unfinished:
                # What is in hand is not acknowledged: whoever comes next finds it pending.
                log.warning("stopped in the middle of a batch", group=loop.consumer.group)
                running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    main(serve)


async def _tell_once(event: asyncio.Event) -> None:
    await event.wait()
    tell_ready()


def main(serve: Callable[[Settings, asyncio.Event], Awaitable[None]]) -> None:
    """Run a process: settings from the environment, JSON logs, `stopping` set by a signal.

    Exits with status 2 for unusable settings, saying all that is wrong with them.
    """
    try:
        settings = settings_module.load(os.environ)
        logs.configure(settings.log_level)
        uvloop.run(_until_signalled(serve, settings))
    except SettingsError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None


async def _until_signalled(
    serve: Callable[[Settings, asyncio.Event], Awaitable[None]], settings: Settings
) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    collect_seldom()
    log.info("started", pid=os.getpid())
    await serve(settings, stopping)
    log.info("stopped", pid=os.getpid())


def collect_seldom() -> None:
    """Spare the modules, which stay, from garbage collection, and run it rarely: a request leaves a
    few cycles behind, and to look for them after every 700 new objects, as Python does, takes a
    fifth of a process that answers requests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
