"""Server-Sent Events (WHATWG HTML, section 9.2): one bounded feed for each client.

Whoever produces events offers them to feeds and never waits; a client that cannot keep up is let
go, and its browser connects again after `RETRY_MS` with the last id it saw.
"""

from __future__ import annotations

import asyncio
from collections import deque

from aiohttp import web

HEARTBEAT_S = 15.0
RETRY_MS = 2000
WRITE_TIMEOUT_S = 10.0
FEED_MAX_EVENTS = 256
_HEARTBEAT = b":\n\n"


class Feed:
    """The events that wait to be sent to one client, at most `most` of them."""

    def __init__(self, most: int = FEED_MAX_EVENTS) -> None:
        self._most = most
        self._waiting: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self.closed = False

    def offer(self, encoded: bytes) -> bool:
        """Queue one event, as `event` encodes it. A feed that is full is closed instead: gives
        False, and its client is to be forgotten.
        """
        if len(self._waiting) >= self._most:
            self.close()
        if self.closed:
            return False
        self._waiting.append(encoded)
        self._changed.set()
        return True

    def close(self) -> None:
        """Send nothing more; the client's connection ends."""
        self.closed = True
        self._waiting.clear()
        self._changed.set()

    @property
    def waiting(self) -> int:
        """How many events wait to be sent."""
        return len(self._waiting)

    async def changed(self) -> None:
        """Wait until there is something to take, or the feed is closed."""
        await self._changed.wait()

    def take(self) -> bytes:
        """All that waits, in order."""
        self._changed.clear()
        encoded = b"".join(self._waiting)
        self._waiting.clear()
        return encoded


def event(data: bytes, *, name: str = "", event_id: str = "") -> bytes:
    """One event as it goes over the wire. `data` is UTF-8; `name` and `event_id` are one line."""
    lines = [f"event: {name}".encode()] if name else []
    if event_id:
        lines.append(f"id: {event_id}".encode())
    lines += [b"data: " + line for line in data.splitlines() or [b""]]
    return b"\n".join(lines) + b"\n\n"


async def stream(
    request: web.Request,
    feed: Feed,
    stopping: asyncio.Event,
    *,
    heartbeat_s: float = HEARTBEAT_S,
    write_timeout_s: float = WRITE_TIMEOUT_S,
) -> web.StreamResponse:
    """Answer a request with a feed until it is closed, the client has gone or is too slow, or the
    process stops (`web.STOPPING`). A comment is sent where there was nothing for `heartbeat_s`.
    """
    response = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    response.content_type = "text/event-stream"
    response.force_close()  # the connection ends with the stream, and needs no lingering
    await response.prepare(request)
    stopped = asyncio.create_task(stopping.wait())
    try:
        await _write(response, f"retry: {RETRY_MS}\n\n".encode(), write_timeout_s)
        while await _has_more(feed, stopped, heartbeat_s):
            await _write(response, feed.take() or _HEARTBEAT, write_timeout_s)
    except (ConnectionResetError, TimeoutError):
        if request.transport is not None:
            request.transport.abort()  # nothing more can be said to this client
    finally:
        stopped.cancel()
        feed.close()
    return response


async def _has_more(feed: Feed, stopped: asyncio.Task[bool], heartbeat_s: float) -> bool:
    """Wait for something to send, a heartbeat if nothing else; False where the stream is over."""
    changed = asyncio.create_task(feed.changed())
    try:
        await asyncio.wait(
            {changed, stopped}, timeout=heartbeat_s, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        changed.cancel()
    return not (feed.closed or stopped.done())


async def _write(response: web.StreamResponse, data: bytes, timeout_s: float) -> None:
    async with asyncio.timeout(timeout_s):
        await response.write(data)
