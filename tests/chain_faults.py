"""What can go wrong with one call to a chain's server, by name: FAULTS of tests.chain_proxy.

Here are those that spoil the way there and back, and those that are no answer at all; the lies are
in tests.chain_lies.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web

Reply = dict[str, Any]
HUGE_BYTES = 100 * 2**20
CHUNK = b" " * 2**16


class Passage(Protocol):
    """What a fault uses of the proxy."""

    delay_s: float
    pause_s: float
    lag_blocks: int
    sent: int
    earlier: dict[str, Reply]

    async def forward(self, call: Reply) -> Reply: ...
    async def ask(self, method: str, *parameters: Any) -> Any: ...


class Exchange:
    """One call, and what a fault may do with it."""

    def __init__(self, proxy: Passage, request: web.Request, call: Reply) -> None:
        self.proxy = proxy
        self.request = request
        self.call = call
        self.method: str = call["method"]
        self.question = repr((self.method, call["params"]))

    async def honest(self) -> Reply:
        """The real server's reply, which is remembered as an earlier one."""
        reply = await self.proxy.forward(self.call)
        self.proxy.earlier.setdefault(self.question, reply)
        return copy.deepcopy(reply)

    def answer(self, reply: Reply, *, status: int = 200) -> web.Response:
        return web.json_response(reply, status=status)

    def result(self, value: Any) -> web.Response:
        return self.answer({"jsonrpc": "2.0", "id": self.call["id"], "result": value})

    def refuse(self, message: str, code: int = -32000) -> web.Response:
        error = {"code": code, "message": message}
        return self.answer({"jsonrpc": "2.0", "id": self.call["id"], "error": error})

    def cut(self, *, after_what_was_written: bool = False) -> web.Response:
        """Close the connection; the answer that is returned goes nowhere."""
        if (transport := self.request.transport) is not None:
            transport.close() if after_what_was_written else transport.abort()
        return web.Response()

    async def stream(self, body: AsyncIterator[bytes], **headers: str) -> web.StreamResponse:
        response = web.StreamResponse(headers=headers)
        with contextlib.suppress(ConnectionError):  # whoever has enough goes
            await response.prepare(self.request)
            async for piece in body:
                await response.write(piece)
                self.proxy.sent += len(piece)
            await response.write_eof()
        return response


Apply = Callable[[Exchange], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Fault:
    """What happens to a call, and the methods that it can happen to; none named: to all."""

    apply: Apply
    methods: tuple[str, ...]

    def suits(self, method: str) -> bool:
        return not self.methods or method in self.methods


FAULTS: dict[str, Fault] = {}


def fault(name: str, *methods: str) -> Callable[[Apply], Apply]:
    """Puts a function into FAULTS."""

    def enter(apply: Apply) -> Apply:
        FAULTS[name] = Fault(apply, methods)
        return apply

    return enter


# ---------------------------------------------------------------------- the way there and back


@fault("delay")
async def _delay(exchange: Exchange) -> web.StreamResponse:
    await asyncio.sleep(exchange.proxy.delay_s)
    return exchange.answer(await exchange.honest())


@fault("drop the request")
async def _drop_the_request(exchange: Exchange) -> web.StreamResponse:
    return exchange.cut()


@fault("drop the reply")
async def _drop_the_reply(exchange: Exchange) -> web.StreamResponse:
    await exchange.honest()
    return exchange.cut()


@fault("ask twice")
async def _ask_twice(exchange: Exchange) -> web.StreamResponse:
    """The call reaches the server twice; the second answer is given."""
    await exchange.honest()
    return exchange.answer(await exchange.honest())


@fault("an earlier answer")
async def _an_earlier_answer(exchange: Exchange) -> web.StreamResponse:
    """What a cache in between kept of the first time this was asked."""
    await exchange.honest()
    earlier = exchange.proxy.earlier[exchange.question]
    return exchange.answer({**earlier, "id": exchange.call["id"]})


@fault("slow")
async def _slow(exchange: Exchange) -> web.StreamResponse:
    body = exchange.answer(await exchange.honest()).body
    assert isinstance(body, bytes)

    async def drops() -> AsyncIterator[bytes]:
        for byte in body:
            yield bytes([byte])
            await asyncio.sleep(exchange.proxy.pause_s)

    return await exchange.stream(drops())


# ---------------------------------------------------------------------- no answer at all


@fault("500")
async def _internal_error(_: Exchange) -> web.StreamResponse:
    return web.Response(status=500, text="<html>Internal Server Error</html>")


@fault("429")
async def _too_many(exchange: Exchange) -> web.StreamResponse:
    error = {"code": -32005, "message": "daily request count exceeded"}
    reply = {"jsonrpc": "2.0", "id": exchange.call["id"], "error": error}
    return exchange.answer(reply, status=429)


@fault("not HTTP")
async def _not_http(exchange: Exchange) -> web.StreamResponse:
    """Libraries repeat the URL in what they say to this."""
    if exchange.request.transport is not None:
        exchange.request.transport.write(b"HTTP/1.1 twohundred OK\r\n\r\n")
    return exchange.cut(after_what_was_written=True)


@fault("a page")
async def _page(_: Exchange) -> web.StreamResponse:
    return web.Response(text="<html>We will be back soon</html>", content_type="text/html")


@fault("truncated")
async def _truncated(exchange: Exchange) -> web.StreamResponse:
    body = exchange.answer(await exchange.honest()).body
    assert isinstance(body, bytes)
    return web.Response(body=body[: len(body) // 2], content_type="application/json")


@fault("huge")
async def _huge(exchange: Exchange) -> web.StreamResponse:
    async def spaces() -> AsyncIterator[bytes]:
        for _ in range(HUGE_BYTES // len(CHUNK)):
            yield CHUNK

    return await exchange.stream(spaces())


@fault("gzip bomb")
async def _gzip_bomb(_: Exchange) -> web.StreamResponse:
    return web.Response(body=_bomb(), headers={"Content-Encoding": "gzip"})


@functools.cache
def _bomb() -> bytes:
    packer = zlib.compressobj(wbits=31)
    packed = [packer.compress(CHUNK) for _ in range(HUGE_BYTES // len(CHUNK))]
    return b"".join([*packed, packer.flush()])


@fault("its key repeated")
async def _key_repeated(exchange: Exchange) -> web.StreamResponse:
    """A gateway that says what it was asked, the key of the URL included."""
    return exchange.refuse(f"no route for {exchange.request.path_qs} " + "-" * 10_000)


@fault("redirect")
async def _redirect(_: Exchange) -> web.StreamResponse:
    return web.Response(status=307, headers={"Location": "/elsewhere"})


@fault("wrong id")
async def _wrong_id(exchange: Exchange) -> web.StreamResponse:
    return exchange.answer({**await exchange.honest(), "id": exchange.call["id"] + 1})


@fault("wrong version")
async def _wrong_version(exchange: Exchange) -> web.StreamResponse:
    return exchange.answer({**await exchange.honest(), "jsonrpc": "1.0"})
