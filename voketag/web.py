"""HTTP: routes as data, errors as problem details (RFC 9457), health, metrics, graceful stop.

A route is one function and one `Route`. The same table serves requests and writes the OpenAPI
document (voketag.openapi), so the two cannot drift apart.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar
from uuid import UUID

import msgspec
import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from voketag import identifiers, metrics, openapi
from voketag.errors import InvalidField, Unavailable
from voketag.settings import Settings

BODY_MAX_BYTES = 8 * 1024
RETRY_AFTER_S = 1
STOP_GRACE_S = 8.0
PROBLEM_JSON = "application/problem+json"
_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}$")
_REQUEST_ID_KEY = web.RequestKey("request_id", str)

# Set when the process stops, before requests in flight are waited for: what goes on for ever, such
# as a stream of events, ends then.
STOPPING = web.AppKey("stopping", asyncio.Event)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Body = TypeVar("Body")
log = structlog.get_logger()


@dataclass(frozen=True)
class Route:
    """One HTTP route: what it answers with, for the server and for the OpenAPI document.

    `answers` maps each success status to the type of its body, or to a media type for one that is
    not JSON, or to None for no body. `problems` are the error statuses that this route adds to
    those every route of its kind has.
    """

    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    handler: Handler
    summary: str
    answers: Mapping[int, Any]
    body: Any = None
    query: Any = None
    headers: Mapping[str, str | Mapping[str, Any]] = field(default_factory=dict)
    problems: Sequence[int] = ()
    security: Literal["factory", "admin"] | None = None


class Problem(Exception):
    """An answer that is an error. `code` is stable; `detail` says what is accepted."""

    def __init__(
        self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})


class ProblemDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 9457 problem details, with our stable `code` and, for a bad value, its `field`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    field: str | None = None


_TITLES = {
    400: "Malformed request",
    401: "Authentication required",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "No acceptable media type",
    408: "Request too slow",
    409: "Conflict",
    413: "Body too large",
    415: "Media type not accepted",
    422: "Invalid field",
    429: "Too many requests",
    500: "Internal error",
    503: "Temporarily unavailable",
}


def problem(
    status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, field: str = ""
) -> web.Response:
    """An error answer as application/problem+json."""
    title = _TITLES.get(status, "Error")
    details = ProblemDetails(f"about:blank#{code}", title, status, detail, code, field or None)
    return web.Response(
        status=status,
        body=msgspec.json.encode(details),
        content_type=PROBLEM_JSON,
        headers=headers,
    )


def json_response(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A msgspec value as a JSON answer."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(value),
        content_type="application/json",
        headers=headers,
    )


# ---------------------------------------------------------------------- reading a request


async def read_body(
    request: web.Request, decoder: msgspec.json.Decoder[Body], max_bytes: int = BODY_MAX_BYTES
) -> Body:
    """The JSON body, checked against the decoder's type.

    Raises Problem: 415 for another media type, 413 for too many bytes, 400 for what is not JSON,
    422 for JSON of another shape.
    """
    raw = await read_bytes(request, max_bytes)
    return decode_body(raw, decoder)


async def read_bytes(request: web.Request, max_bytes: int = BODY_MAX_BYTES) -> bytes:
    """The raw body of a JSON request; see `read_body`."""
    if request.content_type != "application/json":
        raise Problem(415, "unsupported_media_type", "Content-Type: application/json is accepted.")
    if (request.content_length or 0) > max_bytes:
        raise _too_large(max_bytes)
    chunks, size = [], 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(max_bytes)
        chunks.append(chunk)
    return b"".join(chunks)


def decode_body(raw: bytes, decoder: msgspec.json.Decoder[Body]) -> Body:
    """A JSON body as the decoder's type; see `read_body`."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise Problem(422, "invalid_field", f"{error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, "malformed_json", f"The body is not UTF-8 JSON: {error}.") from None
    except RecursionError:
        raise Problem(400, "malformed_json", "The body is nested too deeply.") from None


def read_query(request: web.Request, kind: type[Body]) -> Body:
    """The query string as a msgspec Struct of optional members. Raises Problem 422."""
    try:
        return msgspec.convert(dict(request.query), kind, strict=False)
    except msgspec.ValidationError as error:
        raise Problem(422, "invalid_parameter", f"In the query string: {error}.") from None


def path_id(request: web.Request, name: str = "id") -> UUID:
    """A UUID in the path. What is no UUID names nothing: Problem 404."""
    try:
        return UUID(request.match_info[name])
    except ValueError:
        raise not_found() from None


def not_found(what: str = "There is nothing with this id.") -> Problem:
    """The answer for what does not exist, or is not the caller's to see."""
    return Problem(404, "not_found", what)


def bearer(request: web.Request) -> str:
    """The bearer token of a request. Raises Problem 401."""
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not credential:
        raise unauthorised("Authorization: Bearer <key> is needed.")
    return credential.strip()


def unauthorised(detail: str) -> Problem:
    """The answer to a missing, unknown, revoked or expired key."""
    return Problem(401, "unauthorised", detail, {"WWW-Authenticate": "Bearer"})


def _too_large(max_bytes: int) -> Problem:
    return Problem(413, "body_too_large", f"At most {max_bytes} bytes are accepted.")


# ---------------------------------------------------------------------- serving


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error as problem details; the time and status of every request as metrics."""
    started = time.perf_counter()
    status = 500
    given = request.headers.get("X-Request-Id", "")
    request_id = given if _REQUEST_ID.match(given) else str(identifiers.new_id())
    request[_REQUEST_ID_KEY] = request_id
    try:
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = await _respond(request, handler)
        status = response.status
        return response
    finally:
        route = _route_of(request)
        metrics.REQUESTS.labels(request.method, route, status).inc()
        metrics.REQUEST_SECONDS.labels(route).observe(time.perf_counter() - started)


def _route_of(request: web.Request) -> str:
    """The route's pattern: a path itself may hold a token, which belongs in no log or metric."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "(none)"


async def _respond(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
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
    response.headers["X-Request-Id"] = request[_REQUEST_ID_KEY]
    response.headers.setdefault("X-Content-Type-Options", "nosniff")


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
    app.on_shutdown.append(_stop_streams)

    async def readyz(_: web.Request) -> web.Response:
        await ready()
        return web.Response(text="ready\n")

    async def serve_metrics(_: web.Request) -> web.Response:
        body = await read_metrics()
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    shared = (
        Route("GET", "/healthz", _healthz, "Whether the process is alive", {200: "text/plain"}),
        Route("GET", "/readyz", readyz, "Whether its servers answer", {200: "text/plain"}),
        Route("GET", "/metrics", serve_metrics, "Prometheus metrics", {200: "text/plain"}),
    )
    document = openapi.document(title, [*routes, *shared])
    encoded = msgspec.json.encode(document)

    async def serve_document(_: web.Request) -> web.Response:
        return web.Response(body=encoded, content_type="application/json")

    for route in (*routes, *shared):
        app.router.add_route(route.method, route.path, route.handler)
    app.router.add_get("/openapi.json", serve_document)
    return app


async def _healthz(_: web.Request) -> web.Response:
    return web.Response(text="alive\n")


async def _stop_streams(app: web.Application) -> None:
    app[STOPPING].set()


async def serve(
    app: web.Application, settings: Settings, port: int, stopping: asyncio.Event
) -> None:
    """Serve until `stopping`; then accept no more, answer what is in flight, and return.

    SO_REUSEPORT lets a new version start on the same port before the old one has left.
    """
    async with listening(app, settings, port):
        await stopping.wait()


@contextlib.asynccontextmanager
async def listening(app: web.Application, settings: Settings, port: int) -> AsyncIterator[int]:
    """The application on its port, while the context lasts; gives the port (for port 0)."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_GRACE_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, port, reuse_port=True, backlog=1024)
        await site.start()
        bound: int = runner.addresses[0][1]
        log.info("listening", host=settings.host, port=bound)
        yield bound
    finally:
        await runner.cleanup()
