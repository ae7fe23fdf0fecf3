"""How long a client may take, and how many there may be: what ends a connection whose client sends
slowly, sends nothing, or does not read.

One look a second at every connection costs a request next to nothing, where a timer for each would
be made and cancelled with every one of them.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from voketag import metrics
from voketag.http.problems import PROBLEM_JSON, details
from voketag.http.protection import HEADERS
from voketag.http.short_way import ShortWay

# Beside its clients a process has connections to its servers, files and pipes.
OWN_DESCRIPTORS = 128
LEAST_CONNECTIONS = 16


@dataclass(frozen=True)
class Bounds:
    """What a connection may take; see docs/security.md.

    `head_s` is for the head of a request from its first byte, and for the first request from the
    connection's beginning. `idle_s` is the rest between requests: longer than what reverse proxies
    keep, so that they end it and not we. `unread_s` is for a client that does not read an answer
    it has been sent, `closing_s` for one that does not read the last of it.
    """

    connections: int = 4096
    head_s: float = 10.0
    head_bytes: int = 32 * 1024
    idle_s: float = 75.0
    unread_s: float = 30.0
    closing_s: float = 10.0
    look_every_s: float = 1.0


class BoundedConnection(ShortWay):
    """A connection that knows what it waits for, and since when."""

    __slots__ = (
        "_bounds",
        "_closing_since",
        "_head_bytes",
        "_head_since",
        "_paused_since",
        "_wire",
    )

    def __init__(self, manager: web.Server, bounds: Bounds, **options: Any) -> None:
        super().__init__(manager, keepalive_timeout=bounds.idle_s, **options)
        self._bounds = bounds
        self._wire: asyncio.Transport | None = None
        self._head_since: float | None = None
        self._head_bytes = 0
        self._paused_since: float | None = None
        self._closing_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """One more client; one too many is told so and let go."""
        super().connection_made(transport)
        self._wire = self.transport
        self._head_since = self._loop.time()
        if self._manager is not None and len(self._manager.connections) > self._bounds.connections:
            self._refuse(503, "too_many_connections", "Too many clients are connected; try again.")

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection has ended, by whomever."""
        self._wire = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes from the client. Those that end no request while none is answered belong to a
        head, whose size is bounded as a whole: the parser bounds each of its lines.
        """
        super().data_received(data)
        if not self.idle:
            self._head_since, self._head_bytes = None, 0
            return
        if self._head_since is None:
            self._head_since = self._loop.time()
        self._head_bytes += len(data)
        if self._head_bytes > self._bounds.head_bytes:
            most = f"At most {self._bounds.head_bytes} bytes of header fields are accepted."
            self._refuse(431, "head_too_large", most)

    def pause_writing(self) -> None:
        """The client has not read what it was sent."""
        self._paused_since = self._loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """It has read most of it."""
        self._paused_since = None
        super().resume_writing()

    def look(self, now_s: float) -> None:
        """End the connection if its client has taken too long. `now_s` is the loop's time."""
        wire, bounds = self._wire, self._bounds
        if wire is None:
            return
        if wire.is_closing():
            if self._closing_since is None:
                self._closing_since = now_s
            elif now_s - self._closing_since > bounds.closing_s:
                wire.abort()
        elif self._paused_since is not None and now_s - self._paused_since > bounds.unread_s:
            wire.abort()
        elif self._head_since is not None and now_s - self._head_since > bounds.head_s:
            if self.idle:
                seconds = f"A request's head has to arrive within {bounds.head_s:.0f} seconds."
                self._refuse(408, "head_too_slow", seconds)
            else:
                self._head_since = None

    def _refuse(self, status: int, code: str, detail: str) -> None:
        """Say why, and end the connection, before there is a request."""
        metrics.REQUESTS.labels("(none)", "(none)", status).inc()
        if self._wire is not None:
            self._wire.write(refusal(status, code, detail))
        self.force_close()


def refusal(status: int, code: str, detail: str) -> bytes:
    """A whole answer with problem details, for a client whose request was not read."""
    told = details(status, code, detail)
    body = msgspec.json.encode(told)
    head = {
        **HEADERS,
        "Content-Type": PROBLEM_JSON,
        "Content-Length": str(len(body)),
        "Retry-After": "1",
        "Connection": "close",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return f"HTTP/1.1 {status} {told.title}\r\n{lines}\r\n".encode() + body


async def watch(connections: Callable[[], Iterable[Any]], every_s: float) -> None:
    """Look at every connection, for ever."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(every_s)
        now_s = loop.time()
        for connection in connections():
            connection.look(now_s)


def room_for(connections: int) -> int:
    """As many connections as this process may have open, up to `connections`: its limit of open
    files is raised as far as it may be, and what it needs itself is kept back.
    """
    wanted = connections + OWN_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    else:
        wanted = connections + OWN_DESCRIPTORS
    return max(LEAST_CONNECTIONS, wanted - OWN_DESCRIPTORS)
