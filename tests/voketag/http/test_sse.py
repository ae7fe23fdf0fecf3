"""Server-Sent Events through a real HTTP server: order, heartbeat, slow clients, stopping."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from tests.factory_floor import until
from voketag.http import sse

Stream = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def served(stream: Stream) -> AsyncIterator[str]:
    """A server that answers with `stream`; gives its URL."""
    app = web.Application()
    app.router.add_get("/", stream)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("encoded", "wire"),
    [
        (sse.event(b"{}"), b"data: {}\n\n"),
        (sse.event(b""), b"data: \n\n"),
        (sse.event(b"a\nb\r\nc"), b"data: a\ndata: b\ndata: c\n\n"),
        (sse.event(b"1", name="beat", event_id="7"), b"event: beat\nid: 7\ndata: 1\n\n"),
    ],
)
def test_an_event_on_the_wire(encoded: bytes, wire: bytes) -> None:
    assert encoded == wire


async def test_events_arrive_in_order_and_end_with_the_feed() -> None:
    feed = sse.Feed()
    for n in range(3):
        assert feed.offer(sse.event(b"%d" % n))

    async def stream(request: web.Request) -> web.StreamResponse:
        return await sse.stream(request, feed, asyncio.Event())

    async with (
        served(stream) as url,
        aiohttp.ClientSession() as session,
        session.get(url) as response,
    ):
        await response.content.readuntil(b"data: 2\n\n")
        assert feed.offer(sse.event(b"3"))
        assert await response.content.readuntil(b"\n\n") == b"data: 3\n\n"
        feed.close()
        assert await response.content.read() == b""
    assert not feed.offer(sse.event(b"4"))


async def test_silence_is_filled_with_comments() -> None:
    async def stream(request: web.Request) -> web.StreamResponse:
        return await sse.stream(request, sse.Feed(), asyncio.Event(), heartbeat_s=0.01)

    async with (
        served(stream) as url,
        aiohttp.ClientSession() as session,
        session.get(url) as response,
    ):
        await response.content.readuntil(b":\n\n:\n\n")


async def test_stopping_ends_the_stream() -> None:
    stopping = asyncio.Event()

    async def stream(request: web.Request) -> web.StreamResponse:
        return await sse.stream(request, sse.Feed(), stopping)

    async with (
        served(stream) as url,
        aiohttp.ClientSession() as session,
        session.get(url) as response,
    ):
        await response.content.readuntil(b"\n\n")
        stopping.set()
        assert await response.content.read() == b""


def test_a_full_feed_is_closed_rather_than_grown() -> None:
    feed = sse.Feed(most=2)
    assert [feed.offer(b"x") for _ in range(4)] == [True, True, False, False]
    assert feed.closed
    assert feed.take() == b""


async def test_a_client_that_does_not_read_is_let_go() -> None:
    ended = asyncio.Event()
    feed = sse.Feed()

    async def stream(request: web.Request) -> web.StreamResponse:
        try:
            return await sse.stream(request, feed, asyncio.Event(), write_timeout_s=0.05)
        finally:
            ended.set()

    async def too_slow() -> bool:
        feed.offer(sse.event(b"x" * 1_000_000))
        return ended.is_set()

    async with served(stream) as url:
        host, _, port = url.removeprefix("http://").strip("/").partition(":")
        _, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(too_slow, "the slow client let go")
        assert feed.closed
        writer.close()


async def test_a_client_that_left_is_noticed_at_the_next_event() -> None:
    ended = asyncio.Event()
    feed = sse.Feed()

    async def stream(request: web.Request) -> web.StreamResponse:
        try:
            return await sse.stream(request, feed, asyncio.Event())
        finally:
            ended.set()

    async def noticed() -> bool:
        feed.offer(sse.event(b"x"))
        return ended.is_set()

    async with served(stream) as url:
        async with aiohttp.ClientSession() as session:
            response = await session.get(url)
            await response.content.readuntil(b"\n\n")
            response.close()
        await until(noticed, "the stream ended")
