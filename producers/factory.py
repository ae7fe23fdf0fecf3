"""The factory API: what ERPs call to make batches and to follow them to the chain."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp.web import Application

from producers import factory_batches, factory_events, factory_products
from voketag.figures import left_in_redis
from voketag.http.guesses import GUESSES, Guesses
from voketag.http.server import application, serve
from voketag.process import Wires, main, open_wires
from voketag.readiness import tell_ready
from voketag.redis.notice_feed import NoticeFeed
from voketag.settings import Settings
from voketag.start_checks import checked
from voketag.tasks import end


@contextlib.asynccontextmanager
async def opened(wires: Wires) -> AsyncIterator[Application]:
    """The factory service, with the feed of notices that its event streams share."""
    notices = NoticeFeed(wires.settings.redis_url)

    async def ready() -> None:
        await wires.streams.ping()
        await wires.database.ping()

    routes = (
        *factory_batches.routes(wires),
        *factory_products.routes(wires),
        *factory_events.routes(wires, notices),
    )
    hearing = asyncio.create_task(notices.run(), name="notices")
    try:
        app = application("VokeTag factory", routes, ready)
        app[GUESSES] = Guesses(wires.settings)
        yield app
    finally:
        await end(hearing)


async def run(settings: Settings, stopping: asyncio.Event) -> None:
    """The factory process."""
    async with (
        open_wires(settings, database=True, replica=True) as wires,
        checked(wires, stopping),
        left_in_redis(wires.streams, "factory"),
        opened(wires) as app,
    ):
        await serve(app, settings, settings.factory_port, stopping, tell_ready)


if __name__ == "__main__":
    main(run)
