"""Serving routes: errors as problem details, request ids, health, metrics, graceful stop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import msgspec
import structlog
from aiohttp import HttpVersion11, web
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram

from voketag import identifiers, metrics
from voketag.errors import InvalidField, Unavailable
from voketag.http import bounds, listeners, openapi
from voketag.http.connections import Runner
from voketag.http.problems import Problem, problem
from voketag.http.protection import protect, refuse_ambiguous
from voketag.http.requests import BODY_MAX_BYTES
from voketag.http.routes import Handler, Route
from voketag.logs import REQUEST_ID
from voketag.settings import Settings

RETRY_AFTER_S = 1
_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}$")
_PARAMETER = re.compile(r"\{(\w+)\}")
_SEGMENT = "[^/]+"  # with braces, as the names of streams have them: aiohttp's own takes none
_STREAMED = ("text/event-stream", "application/x-ndjson")
_METRICS_OF_ALL = "Prometheus metrics of every process"
_METRICS_ALONE = (
    "Prometheus metrics of this process; of several copies any may answer, and ops has those of all"
)
_REQUEST_ID_KEY = web.RequestKey("request_id", str)

# Set when the process stops, before its connections are waited for: what goes on for ever, such as
# a stream of events, ends then.
STOPPING = web.AppKey("stopping", asyncio.Event)

log = structlog.get_logger()


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error as problem details; the time and status of every request as metrics."""
    started = time.perf_counter()
    status: int | str = "none"  # for a client that went away before its answer
    given = request.headers.get("X-Request-Id", "")
    request_id = given if _REQUEST_ID.match(given) else identifiers.new_text()
    request[_REQUEST_ID_KEY] = request_id
    outside = REQUEST_ID.set(request_id)
    try:
        response = await _respond(request, handler)
        status = response.status
        return response
    finally:
        REQUEST_ID.reset(outside)
        requests, seconds = _figures(request.method, _route_of(request), status)
        requests.inc()
        seconds.observe(time.perf_counter() - started)


@functools.lru_cache(maxsize=1024)  # a look-up by labels takes a microsecond and a half
def _figures(method: str, route: str, status: int | str) -> tuple[Counter, Histogram]:
    return metrics.REQUESTS.labels(method, route, status), metrics.REQUEST_SECONDS.labels(route)


def _route_of(request: web.Request) -> str:
    """The route's pattern: a path itself may hold a token, which belongs in no log or metric."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "(none)"


async def _respond(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        refuse_ambiguous(request)
        return await handler(request)
    except Problem as error:
        return problem(error.status, error.code, error.detail, error.headers)
    except InvalidField as error:
        return problem(422, error.code, error.detail, field=error.field)
    except Unavailable as error:
        log.warning("unavailable", route=_route_of(request), error=str(error))
        retry = {"Retry-After": str(RETRY_AFTER_S)}
        return problem(503, "unavailable", "A server we need is not there; try again.", retry)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        return problem(405, "method_not_allowed", f"Accepted: {allowed}.", {"Allow": allowed})
    except web.HTTPException as error:
        if error.status < 400:
            raise
        code = (error.reason or "error").lower().replace(" ", "_")
        return problem(error.status, code, f"{error.reason}.")
    except (asyncio.CancelledError, ConnectionResetError):
        raise
    except Exception:
        log.exception("bug", route=_route_of(request))
        return problem(500, "internal_error", "This is our fault; it has been logged.")


async def _on_prepare(request: web.Request, response: web.StreamResponse) -> None:
    request_id = request.get(_REQUEST_ID_KEY)  # none where it never came to a handler
    response.headers["X-Request-Id"] = request_id or identifiers.new_text()
    protect(response.headers)
    if request.app[STOPPING].is_set():
        response.force_close()
        response.headers["Connection"] = "close"  # so that the client asks a successor next


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
    app = web.Application(middlewares=[_answer_errors], client_max_size=BODY_MAX_BYTES)
    app.on_response_prepare.append(_on_prepare)
    app[STOPPING] = asyncio.Event()

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

    for route in (*routes, *shared):
        for method in _methods(route):
            app.router.add_route(method, _path(route), route.handler, expect_handler=_expect)
    app.router.add_get("/openapi.json", serve_document)
    return app


def _path(route: Route) -> str:
    """A route's path as aiohttp wants it."""
    return _PARAMETER.sub(
        lambda found: f"{{{found[1]}:{route.patterns.get(found[1], _SEGMENT)}}}", route.path
    )


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
    runner = Runner(app, within)
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
