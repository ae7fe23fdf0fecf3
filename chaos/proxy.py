"""A TCP proxy in front of a server, which loses, delays and cuts what passes through it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit, urlunsplit

CHUNK_BYTES = 65_536


class Proxy:
    """Forwards bytes both ways, until told otherwise.

    `delay_s` holds up every chunk. While `flowing` is not set nothing is forwarded and no
    connection is closed, as where a cable is pulled. `lose_requests` of the next requests are cut
    off before the server sees them; `lose_replies` of the next ones after it has answered.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server_at = (host, port)
        self.delay_s = 0.0
        self.lose_requests = 0
        self.lose_replies = 0
        self.flowing = asyncio.Event()
        self.flowing.set()
        self._links: set[asyncio.Task[None]] = set()

    async def cut(self) -> int:
        """Cut every connection; gives how many there were."""
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)
        return len(links)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client has come."""
        link = asyncio.create_task(self._link(reader, writer))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            above, below = await asyncio.open_connection(*self._server_at)
        except OSError:
            writer.transport.abort()
            return
        doomed = asyncio.Event()
        ways = {
            asyncio.create_task(self._requests(reader, below, doomed)),
            asyncio.create_task(self._replies(above, writer, doomed)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            # Not closed in order: a cut connection gets no farewell.
            writer.transport.abort()
            below.transport.abort()

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: asyncio.Event
    ) -> None:
        while data := await reader.read(CHUNK_BYTES):
            if self.lose_requests > 0:
                self.lose_requests -= 1
                return
            if self.lose_replies > 0:
                self.lose_replies -= 1
                doomed.set()
            await self._pass_on(data, writer)

    async def _replies(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: asyncio.Event
    ) -> None:
        while data := await reader.read(CHUNK_BYTES):
            if doomed.is_set():
                return
            await self._pass_on(data, writer)

    async def _pass_on(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        await self.flowing.wait()
        writer.write(data)
        await writer.drain()


Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]


@contextlib.asynccontextmanager
async def before(url: str, accept: Accept) -> AsyncIterator[str]:
    """A server of ours before the one that `url` names, which calls `accept` for each connection;
    gives the URL that leads to it.
    """
    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    place = f"{login}@127.0.0.1:{port}" if login else f"127.0.0.1:{port}"
    try:
        yield urlunsplit(parts._replace(netloc=place))
    finally:
        server.close()


@contextlib.asynccontextmanager
async def proxied(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy in front of the server that `url` names, and the URL that leads through it."""
    parts = urlsplit(url)
    proxy = Proxy(parts.hostname or "", parts.port or 0)
    try:
        async with before(url, proxy.accept) as through:
            yield proxy, through
    finally:
        await proxy.cut()
