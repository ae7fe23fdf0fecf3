"""A TCP proxy in front of a server that can lose one reply: the request arrives, its answer never
comes back, or the beginning of it alone. And it can fall silent: what is sent does not arrive, and
the sockets stay open.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from chaos.proxy import before


class CuttingProxy:
    """Forwards bytes both ways until `lose_reply_to` is set: then the connection whose request
    holds those bytes is cut once the server has answered it and `let_through_bytes` of the answer
    have passed. A request that holds `freeze_at` freezes everything, until `freezes_new` is taken
    back.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server_at = (host, port)
        self.lose_reply_to: bytes | None = None
        self.let_through_bytes = 0
        self.freeze_at: bytes | None = None
        self.cuts = 0
        self.freezes_new = False
        self._open: set[asyncio.Event] = set()
        self._serving: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Cut every connection."""
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def freeze(self) -> int:
        """Let nothing through any more on the connections there are; gives how many. New ones are
        served, unless `freezes_new`.
        """
        for frozen in self._open:
            frozen.set()
        return len(self._open)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client has come."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):  # also where this ends before the server is reached
            await self._forward(reader, writer)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        above, below = await asyncio.open_connection(*self._server_at)
        lose, frozen = asyncio.Event(), asyncio.Event()
        if self.freezes_new:
            frozen.set()
        self._open.add(frozen)
        ways = {
            asyncio.create_task(self._requests(reader, below, lose, frozen)),
            asyncio.create_task(self._replies(above, writer, lose, frozen)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._open.discard(frozen)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            below.close()

    async def _requests(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        lose: asyncio.Event,
        frozen: asyncio.Event,
    ) -> None:
        while data := await reader.read(65536):
            if self.freeze_at is not None and self.freeze_at in data:
                self.freeze_at, self.freezes_new = None, True
                self.freeze()
            if frozen.is_set():
                continue
            if self.lose_reply_to is not None and self.lose_reply_to in data:
                self.lose_reply_to = None
                lose.set()
            writer.write(data)
            await writer.drain()

    async def _replies(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        lose: asyncio.Event,
        frozen: asyncio.Event,
    ) -> None:
        left = self.let_through_bytes
        while data := await reader.read(65536):
            if frozen.is_set():
                continue
            if lose.is_set():
                if len(data) > left:
                    writer.write(data[:left])
                    self.cuts += 1
                    return
                left -= len(data)
            writer.write(data)
            await writer.drain()


@contextlib.asynccontextmanager
async def cutting_proxy(url: str) -> AsyncIterator[tuple[CuttingProxy, str]]:
    """A proxy in front of the server that `url` names, and the URL that leads through it."""
    parts = urlsplit(url)
    proxy = CuttingProxy(parts.hostname or "", parts.port or 0)
    try:
        async with before(url, proxy.accept) as through:
            yield proxy, through
    finally:
        await proxy.close()
