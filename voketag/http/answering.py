"""How every request is answered: errors as problem details, a request id, its time and status as
metrics; on aiohttp's way and on the short one.
"""

from __future__ import annotations

import asyncio
import functools
import re
import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

import structlog
from aiohttp import StreamReader, hdrs, web
from prometheus_client import Counter, Histogram

from voketag import identifiers, metrics
from voketag.errors import InvalidField, Unavailable
from voketag.http.problems import Problem, problem
from voketag.http.protection import HEADERS, protect, refuse_ambiguous
from voketag.http.requests import JSON, whole_body
from voketag.http.routes import Handler, Posted, SmallPost
from voketag.logs import REQUEST_ID

RETRY_AFTER_S = 1
_ID_HEADER = "X-Request-Id"
_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}$")
_REQUEST_ID_KEY = web.RequestKey("request_id", str)

# Set when the process stops, before its connections are waited for: what goes on for ever, such as
# a stream of events, ends then.
STOPPING = web.AppKey("stopping", asyncio.Event)

log = structlog.get_logger()


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error as problem details; the time and status of every request as metrics."""
    started = time.perf_counter()
    status: int | str = "none"  # for a client that went away before its answer
    request_id = request[_REQUEST_ID_KEY] = _request_id(request.headers)
    outside = REQUEST_ID.set(request_id)
    try:
        response = await _respond(request, handler)
        status = response.status
        return response
    finally:
        REQUEST_ID.reset(outside)
        _note(request.method, _route_of(request), status, started)


async def _respond(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        refuse_ambiguous(request)
        return await handler(request)
    except (asyncio.CancelledError, ConnectionResetError):
        raise
    except Exception as error:
        return _failure(error, _route_of(request))


def _failure(error: Exception, route: str) -> web.Response:
    """What a client is told of an error; what is no error for it is raised again."""
    match error:
        case Problem():
            return problem(error.status, error.code, error.detail, error.headers)
        case InvalidField():
            return problem(422, error.code, error.detail, field=error.field)
        case Unavailable():
            log.warning("unavailable", route=route, error=str(error))
            retry = {"Retry-After": str(RETRY_AFTER_S)}
            return problem(503, "unavailable", "A server we need is not there; try again.", retry)
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            return problem(405, "method_not_allowed", f"Accepted: {allowed}.", {"Allow": allowed})
        case web.HTTPException():
            if error.status < 400:
                raise error
            code = (error.reason or "error").lower().replace(" ", "_")
            return problem(error.status, code, f"{error.reason}.")
    log.exception("bug", route=route, exc_info=error)
    return problem(500, "internal_error", "This is our fault; it has been logged.")


async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
    """What stands in the head of every answer."""
    request_id = request.get(_REQUEST_ID_KEY)  # none where it never came to a handler
    response.headers[_ID_HEADER] = request_id or identifiers.new_text()
    protect(response.headers)
    if request.app[STOPPING].is_set():
        response.force_close()
        response.headers[hdrs.CONNECTION] = "close"  # so that the client asks a successor next


class ShortAnswers:
    """Answers the plain requests of one SmallPost; see http/short_way.py."""

    def __init__(self, path: str, post: SmallPost, stopping: asyncio.Event) -> None:
        self._path = path
        self._post = post.answer
        self._stopping = stopping

    async def __call__(
        self, message: Any, payload: StreamReader, remote: str | None
    ) -> tuple[bytes, bool]:
        """The whole answer, and whether the connection ends with it."""
        started = time.perf_counter()
        status: int | str = "none"
        request_id = _request_id(message.headers)
        REQUEST_ID.set(request_id)  # in this request's own task
        try:
            try:
                refuse_ambiguous(message)
                body = await self._post(Posted(message.headers, remote, whole_body(payload)))
                status, head, last = 200, _OK, self._stopping.is_set()
            except Exception as error:
                response = _failure(error, self._path)
                assert isinstance(response.body, bytes)
                status, head, body = response.status, _head(response), response.body
                last = self._stopping.is_set() or response.keep_alive is False
        finally:
            _note(hdrs.METH_POST, self._path, status, started)
        end = b"Connection: close\r\n\r\n" if last else b"\r\n"
        return b"%b%bContent-Length: %d\r\n%b: %b\r\n%b%b" % (
            head,
            _date(int(time.time())),
            len(body),
            _ID_HEADER.encode(),
            request_id.encode(),
            end,
            body,
        ), last


def _request_id(headers: Mapping[str, str]) -> str:
    given = headers.get(_ID_HEADER)
    return given if given and _REQUEST_ID.match(given) else identifiers.new_text()


def _route_of(request: web.Request) -> str:
    """The route's pattern: a path itself may hold a token, which belongs in no log or metric."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "(none)"


def _note(method: str, route: str, status: int | str, started: float) -> None:
    requests, seconds = _figures(method, route, status)
    requests.inc()
    seconds.observe(time.perf_counter() - started)


@functools.lru_cache(maxsize=1024)  # a look-up by labels takes a microsecond and a half
def _figures(method: str, route: str, status: int | str) -> tuple[Counter, Histogram]:
    return metrics.REQUESTS.labels(method, route, status), metrics.REQUEST_SECONDS.labels(route)


def _head(response: web.Response) -> bytes:
    """Status line and headers of an answer, but for those that each answer has of its own."""
    headers = response.headers.copy()
    for name in (hdrs.CONNECTION, hdrs.CONTENT_LENGTH):
        headers.popall(name, None)
    protect(headers)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {response.status} {response.reason}\r\n{lines}".encode()


_OK = _head(web.Response(headers={hdrs.CONTENT_TYPE: JSON, **HEADERS}))


@functools.lru_cache(maxsize=2)
def _date(at_s: int) -> bytes:
    """The Date header of a second."""
    return f"Date: {formatdate(at_s, usegmt=True)}\r\n".encode()
