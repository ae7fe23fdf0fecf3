"""A factory's notices as server-sent events, for as long as it listens."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import msgspec
from aiohttp.web import Request, StreamResponse

from producers.factory_access import calling_factory
from voketag import identifiers
from voketag.batches.answers import BatchEvent
from voketag.errors import Unavailable
from voketag.events import Notice
from voketag.http import sse
from voketag.http.answering import STOPPING
from voketag.http.problems import Problem
from voketag.http.routes import Route
from voketag.process import Wires
from voketag.redis.notice_feed import Listener, NoticeFeed
from voketag.tasks import end

KEY_CHECK_EVERY_S = 15.0


def routes(wires: Wires, notices: NoticeFeed) -> Sequence[Route]:
    """The route of notices."""
    return (
        Route(
            "GET",
            "/v1/events",
            partial(stream_notices, wires, notices),
            "This factory's notices from now on, as server-sent events. Where the stream ends, "
            "some may have been missed: connect again, then ask for the batches",
            {200: "text/event-stream"},
            security="factory",
        ),
    )


async def stream_notices(wires: Wires, notices: NoticeFeed, request: Request) -> StreamResponse:
    """GET /v1/events, until the client leaves, falls behind or loses its key, or we stop."""
    factory_id = await calling_factory(wires, request)
    await notices.connected()
    feed = sse.Feed()

    def offer(notice: Notice) -> bool:
        data = msgspec.json.encode(_shown(notice))
        return feed.offer(sse.event(data, name=notice.kind, event_id=str(notice.notice_id)))

    checking = asyncio.create_task(_close_without_key(wires, request, feed))
    try:
        with notices.listening(factory_id, Listener(offer, feed.close)):
            return await sse.stream(request, feed, request.app[STOPPING])
    finally:
        await end(checking)


def _shown(notice: Notice) -> BatchEvent:
    return BatchEvent(
        notice_id=notice.notice_id,
        factory_id=notice.factory_id,
        kind=notice.kind,
        batch_id=notice.batch_id,
        at=identifiers.time_of_ms(notice.at_ms),
        detail=notice.detail,
    )


async def _close_without_key(wires: Wires, request: Request, feed: sse.Feed) -> None:
    """Close the feed once its key is revoked or has expired; an outage is no reason."""
    while True:
        await asyncio.sleep(KEY_CHECK_EVERY_S)
        try:
            await calling_factory(wires, request)
        except Problem as error:
            if error.status == 401:
                feed.close()
                return
        except Unavailable:
            continue
