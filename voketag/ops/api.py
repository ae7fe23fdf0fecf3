"""The ops process: the admin API, the live view, the dashboard, everyone's metrics."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial

import structlog
from aiohttp import web

from voketag import metrics, topology
from voketag.errors import Unavailable
from voketag.figures import left_in_redis
from voketag.http.guesses import GUESSES, Guesses
from voketag.http.server import application, serve
from voketag.ops import (
    api_audit,
    api_batches,
    api_daily,
    api_dead,
    api_factories,
    api_figures,
    api_operators,
    api_products,
    api_reports,
    api_session,
    live,
    pages,
    streams_document,
)
from voketag.ops.access import guarded
from voketag.ops.callers import Callers
from voketag.ops.stream_metrics import show, show_lag, show_processes
from voketag.ownership import LEASE_MS
from voketag.process import Wires, open_wires
from voketag.readiness import tell_ready
from voketag.redis.stream_status import process_metrics, read_status
from voketag.settings import Settings
from voketag.start_checks import checked

NAME = "ops"
log = structlog.get_logger()


@contextlib.asynccontextmanager
async def opened(wires: Wires) -> AsyncIterator[web.Application]:
    """The ops service, with what it does beside answering."""

    async def ready() -> None:
        await wires.streams.ping()
        await wires.database.ping()

    watched, callers = live.Live(wires), Callers(wires)
    table = [
        *api_session.routes(callers),
        *api_operators.routes(wires),
        *api_audit.routes(wires),
        *api_factories.routes(wires),
        *api_figures.routes(wires),
        *api_daily.routes(wires),
        *api_batches.routes(wires),
        *api_products.routes(wires),
        *api_reports.routes(wires),
        *api_dead.routes(wires),
        *live.routes(watched),
        *pages.routes(),
        *streams_document.routes(),
    ]
    watched.start()
    try:
        app = application(
            "VokeTag ops",
            [guarded(route, callers) for route in table],
            ready,
            partial(read_metrics, wires),
        )
        app[GUESSES] = Guesses(wires.settings)
        yield app
    finally:
        await watched.close()


async def read_metrics(wires: Wires) -> bytes:
    """The metrics of the system and of every process."""
    redis, groups = wires.streams.redis, topology.groups_of(wires.settings.shards)
    try:
        left = await process_metrics(redis, topology.PROCESSES)
        show(await read_status(redis, groups, LEASE_MS))
        show_processes(left)
    except Unavailable as error:
        log.warning("unavailable", route="/metrics", error=str(error))
        left = {}
        show(())
        show_processes(None)
    await show_lag(wires.reads, wires.settings.database_read_url)
    # Its own as they are now, and not as well as it left them.
    own = (NAME, wires.streams.boot_id)
    return metrics.exposition_of_all({**left, own: metrics.snapshot()})


async def run(settings: Settings, stopping: asyncio.Event) -> None:
    """The ops process."""
    async with (
        open_wires(settings, database=True, replica=True) as wires,
        checked(wires, stopping),
        left_in_redis(wires.streams, NAME),
        opened(wires) as app,
    ):
        await serve(app, settings, settings.ops_port, stopping, tell_ready)
