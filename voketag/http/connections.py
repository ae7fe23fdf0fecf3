"""What aiohttp answers by itself, where a request cannot be read: problem details with a request id
like everything else, and no line in the log that names the caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import structlog
from aiohttp import web

from voketag import identifiers, metrics
from voketag.http.bounds import BoundedConnection, Bounds
from voketag.http.problems import problem
from voketag.http.protection import protect
from voketag.http.short_way import Answer

# A client may send its next request in the instant in which the process stops, and one whose
# connection was accepted just before may not have sent its first: both are still answered.
LINGER_S = 2.0
STOP_GRACE_S = 8.0
CUT_OFF_S = 0.5  # aiohttp waits this long twice
POLL_S = 0.02
_NO_ACCESS_LOG: Any = None
log = structlog.get_logger()


class Connection(BoundedConnection):
    """One connection of a client."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        """Bytes from the client. While the process stops, aiohttp ignores them all; a request that
        is being answered gets the rest of its body.
        """
        request, closing = self._current_request, (self._close, self._force_close)
        if not any(closing) or request is None or request.content.is_eof():
            super().data_received(data)
            return
        self._close = self._force_close = False
        super().data_received(data)
        self._close, self._force_close = closing

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer where no handler gave one; the connection ends with it."""
        del message  # the parser's; it quotes the request
        if request.writer.output_size > 0:
            raise ConnectionError("a part of another answer has been sent")
        if isinstance(exc, ConnectionError):
            return _nobody_there(exc)
        metrics.REQUESTS.labels("(none)", "(none)", status).inc()
        if status < 500:
            log.debug("unreadable request", error=type(exc).__name__)
            detail = "This cannot be read as an HTTP/1.1 request."
            response = problem(status, "malformed_request", detail)
        else:
            log.error("bug", route="(none)", exc_info=exc)
            detail = "This is our fault; it has been logged."
            response = problem(status, "internal_error", detail)
        response.headers["X-Request-Id"] = identifiers.new_text()
        protect(response.headers)
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """What went wrong around an answer."""
        del args  # words of aiohttp's, which may hold the client's address
        error = kw.get("exc_info")
        if isinstance(error, ConnectionError | web.RequestPayloadError):
            log.debug("connection lost", error=type(error).__name__)
        else:
            log.error("bug", route="(none)", exc_info=error)


def _nobody_there(error: ConnectionError) -> web.Response:
    """What aiohttp wants to send to a client that has gone."""
    log.debug("connection lost", error=type(error).__name__)
    response = web.Response()
    response.force_close()
    return response


class Runner(web.AppRunner):
    """Runs an application whose connections are `Connection`s, within these bounds. `posts` are
    answered the short way, by path.
    """

    def __init__(self, app: web.Application, posts: Mapping[str, Answer], bounds: Bounds) -> None:
        super().__init__(app, shutdown_timeout=CUT_OFF_S)
        self._posts = posts
        self._bounds = bounds

    @property
    def server(self) -> Any:
        """What makes the connections of a site."""
        manager = super().server
        loop = asyncio.get_running_loop()
        return manager and partial(
            Connection,
            manager,
            self._bounds,
            posts=self._posts,
            loop=loop,
            access_log=_NO_ACCESS_LOG,
        )

    def connections(self) -> Sequence[Any]:
        """Those that are open now."""
        manager = super().server
        return manager.connections if manager is not None else ()

    async def stop_accepting(self) -> None:
        """Close the listening sockets. One that was handed over lives on with whoever holds it."""
        for site in self.sites:
            await site.stop()
        await asyncio.sleep(0)  # a connection that was accepted just now shows up

    async def drain(self) -> None:
        """Wait until every connection is closed, at most `STOP_GRACE_S`.

        One that answers is left to it. One that waits for a request is closed when it has done so
        for `LINGER_S`: closing it at once would leave a request that is on its way unanswered.
        """
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        busy_at: dict[Any, float] = {}
        # Polled, for aiohttp tells of neither the end of an answer nor that of a connection.
        while (connections := self.connections()) and loop.time() < began_at + STOP_GRACE_S:
            for connection in connections:
                if not connection.idle:
                    busy_at[connection] = loop.time()
                elif loop.time() > busy_at.get(connection, began_at) + LINGER_S:
                    connection.force_close()
            await asyncio.sleep(POLL_S)
