"""The short way of a small POST, from its bytes to those of its answer.

For each request aiohttp makes a task, a request, a response, their headers and a writer, and looks
its route up among all others: more than all that a scan does in its process. A plain request needs
none of that. Whatever is not plain goes aiohttp's way, and so does what cannot be read: each route
has one handler, and what is refused is decided in one place.

Requests of one connection are answered one after the other (RFC 9112, section 9.3.2): what comes
while one is on the short way is read when it has been answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import HttpVersion11, StreamReader, hdrs, web

from voketag.http.requests import JSON

# The head of a request, its body, which is complete, and its client's address. The answer is whole,
# with its head; the second value says whether the connection ends with it. Never raises.
Answer = Callable[[Any, StreamReader, str | None], Awaitable[tuple[bytes, bool]]]
_NO_WAY: Mapping[str, Answer] = {}


class ShortWay(web.RequestHandler):
    """A connection on which plain POSTs to the paths of `posts` go the short way."""

    __slots__ = ("_answering", "_held", "_posts", "_remote")

    def __init__(
        self, manager: web.Server, posts: Mapping[str, Answer] = _NO_WAY, **options: Any
    ) -> None:
        super().__init__(manager, **options)
        self._posts = posts
        self._answering: asyncio.Task[None] | None = None
        self._held = b""
        self._remote: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._remote = peer[0] if isinstance(peer, tuple) else None

    @property
    def idle(self) -> bool:
        """Whether nothing is being answered: the next request is waited for."""
        waiter = self._waiter
        return waiter is not None and not waiter.done() and self._answering is None

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if self._answering is not None:
            self._hold(data)
        elif self.idle:
            self._look(data)
        else:
            super().data_received(data)

    def _look(self, data: bytes) -> None:
        """Read a request, and wake whoever waits for it in aiohttp only if it goes that way."""
        waiter, self._waiter = self._waiter, None
        super().data_received(data)
        self._waiter = waiter
        if self._messages and not self._goes_short() and waiter is not None:
            waiter.set_result(None)

    def _goes_short(self) -> bool:
        """Whether the only request there is was plain: it is on its way then."""
        message, payload = self._messages[0]
        answer = self._posts.get(getattr(message, "path", ""))
        if answer is None or len(self._messages) > 1 or not _is_plain(message, payload):
            return False
        self._messages.clear()
        assert self._parser is not None
        self._parser.message_consumed()
        self._answering = self._loop.create_task(self._go(answer, message, payload))
        return True

    async def _go(self, answer: Answer, message: Any, payload: StreamReader) -> None:
        try:
            told, last = await answer(message, payload, self._remote)
            if self.transport is not None and not self.transport.is_closing():
                self.transport.write(told)
                if last:
                    self.force_close()
        except Exception:
            self.force_close()
            raise
        finally:
            self._answering = None
        self._rest()

    def _rest(self) -> None:
        """The connection is idle from now on, or goes on with what came meanwhile."""
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None:
            close_at = self._next_keepalive_close_time
            self._keepalive_handle = self._loop.call_at(close_at, self._process_keepalive)
        if self._held:
            held, self._held = self._held, b""
            if self.transport is not None:
                self.transport.resume_reading()
                self.data_received(held)

    def _process_keepalive(self) -> None:
        """Aiohttp's timer: it ends a connection that was idle for too long. For aiohttp one is
        idle while it is on the short way.
        """
        if self._answering is not None:
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        super()._process_keepalive()

    def _hold(self, data: bytes) -> None:
        """Keep what is not its turn yet. No more is read meanwhile, so it stays small."""
        if data and self.transport is not None:
            self._held += data
            self.transport.pause_reading()


def _is_plain(message: Any, payload: StreamReader) -> bool:
    """A POST of JSON whose body is all there, by a client who asks for nothing unusual."""
    headers = message.headers
    return bool(
        payload.is_eof()
        and message.method == hdrs.METH_POST
        and message.version == HttpVersion11
        and headers.get(hdrs.CONTENT_TYPE) == JSON
        and not (message.should_close or message.chunked or message.compression or message.upgrade)
        and hdrs.EXPECT not in headers
    )
