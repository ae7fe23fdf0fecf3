"""Serving routes: errors as problem details, request ids, health, metrics, graceful stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

import msgspec
import structlog
from aiohttp import HttpVersion11, web
from prometheus_client import CONTENT_TYPE_LATEST

from voketag import metrics
from voketag.http import bounds, docs, listeners, openapi
from voketag.http.answering import STOPPING, ShortAnswers, answer_errors, on_prepare
from voketag.http.connections import Runner
from voketag.http.requests import BODY_MAX_BYTES
from voketag.http.routes import Handler, Route, SmallPost
from voketag.http.short_way import Answer
from voketag.settings import Settings

_PARAMETER = re.compile(r"\{(\w+)\}")
_SEGMENT = "[^/]+"  # with braces, as the names of streams have them: aiohttp's own takes none
_STREAMED = ("text/event-stream", "application/x-ndjson")
_METRICS_OF_ALL = "Prometheus metrics of every process"
_METRICS_ALONE = (
    "Prometheus metrics of this process; of several copies any may answer, and ops has those of all"
)
_SHORT = web.AppKey("short", Mapping[str, Answer])

log = structlog.get_logger()


async def own_metrics() -> bytes:
    """This process's own metrics."""
    return metrics.exposition()


def application(
    title: str,
    routes: Sequence[Route],
    ready: Callable[[], Awaitable[None]],
    read_metrics: Callable[[], Awaitable[bytes]] = own_metrics,
) -> web.Application:
    """The aiohttp application of one process: its routes and those every process has.

    `ready` raises Unavailable while a server that the process needs does not answer.
    """
    app = web.Application(middlewares=[answer_errors], client_max_size=BODY_MAX_BYTES)
    app.on_response_prepare.append(on_prepare)
    stopping = app[STOPPING] = asyncio.Event()
    app[_SHORT] = _short_answers(routes, stopping)

    async def readyz(_: web.Request) -> web.Response:
        await ready()
        return web.Response(text="ready\n")

    async def serve_metrics(_: web.Request) -> web.Response:
        body = await read_metrics()
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    summary = _METRICS_ALONE if read_metrics is own_metrics else _METRICS_OF_ALL
    shared = (
        Route("GET", "/healthz", _healthz, "Whether the process is alive", {200: "text/plain"}),
        Route("GET", "/readyz", readyz, "Whether its servers answer", {200: "text/plain"}),
        Route("GET", "/metrics", serve_metrics, summary, {200: "text/plain"}),
    )
    document = openapi.document(title, [*routes, *shared])
    encoded = msgspec.json.encode(document)

    async def serve_document(_: web.Request) -> web.Response:
        return web.Response(body=encoded, content_type="application/json")

    for route in (*routes, *shared, *docs.routes()):
        for method in _methods(route):
            app.router.add_route(method, _path(route), _handler(route), expect_handler=_expect)
    app.router.add_get("/openapi.json", serve_document)
    return app


def _path(route: Route) -> str:
    """A route's path as aiohttp wants it."""
    return _PARAMETER.sub(
        lambda found: f"{{{found[1]}:{route.patterns.get(found[1], _SEGMENT)}}}", route.path
    )


def _short_answers(routes: Sequence[Route], stopping: asyncio.Event) -> Mapping[str, Answer]:
    """What answers the plain requests of small posts, by path."""
    posts = [(route.path, route.handler) for route in routes]
    return {
        path: ShortAnswers(path, post, stopping)
        for path, post in posts
        if isinstance(post, SmallPost)
    }


def _handler(route: Route) -> Handler:
    """A route's handler as aiohttp wants it: a function, not an object that can be called."""
    return route.handler.__call__ if isinstance(route.handler, SmallPost) else route.handler


def _methods(route: Route) -> tuple[str, ...]:
    """What is read can be asked for with HEAD too (RFC 9110, section 9.1), but for streams."""
    kinds = [kind for kind in route.answers.values() if isinstance(kind, str)]
    streamed = any(kind.startswith(_STREAMED) for kind in kinds)
    return ("GET", "HEAD") if route.method == "GET" and not streamed else (route.method,)


async def _expect(request: web.Request) -> None:
    """Ask for the body of a client that waits to be asked. Other expectations may be ignored (RFC
    9110, section 10.1.1).
    """
    if request.headers["Expect"].lower() == "100-continue" and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun


async def _healthz(_: web.Request) -> web.Response:
    return web.Response(text="alive\n")


async def serve(
    app: web.Application,
    settings: Settings,
    port: int,
    stopping: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    """Serve until `stopping`; then accept no more, answer whoever is connected, and return.

    `ready` is called once connections are accepted.
    """
    async with listening(app, settings, port):
        ready()
        await stopping.wait()


@contextlib.asynccontextmanager
async def listening(
    app: web.Application, settings: Settings, port: int, within: bounds.Bounds | None = None
) -> AsyncIterator[int]:
    """The application on its port, while the context lasts; gives the port (for port 0).
    `within` is what a connection may take, where that is not the usual.

    It listens on the sockets that the process was handed. Where there are none it binds its own,
    with SO_REUSEPORT: a new version can start on the same port before the old one has left.
    """
    if within is None:
        within = bounds.Bounds(connections=bounds.room_for(settings.connections_max))
    runner = Runner(app, app[_SHORT], within)
    await runner.setup()
    watching = asyncio.create_task(bounds.watch(runner.connections, within.look_every_s))
    try:
        handed_over = listeners.handed_over(os.environ)
        sites: list[web.BaseSite] = [
            web.SockSite(runner, listener, backlog=listeners.BACKLOG) for listener in handed_over
        ] or [web.TCPSite(runner, settings.host, port, reuse_port=True, backlog=listeners.BACKLOG)]
        for site in sites:
            await site.start()
        host, bound = runner.addresses[0][:2]
        log.info("listening", host=host, port=bound, handed_over=len(handed_over))
        yield bound
    finally:
        try:
            await runner.stop_accepting()
            app[STOPPING].set()
            await runner.drain()
        finally:
            await runner.cleanup()
            watching.cancel()
