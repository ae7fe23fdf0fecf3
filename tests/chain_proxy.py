"""A chain's server that can be made to misbehave: JSON-RPC passed on to a real one, and spoilt.

    async with chain_proxy(chain_url) as proxy:
        proxy.spoil("no block hash", "eth_getTransactionReceipt")    # from now on
        proxy.spoil("drop the reply", times=1)                       # the next call, whatever it is
        proxy.rage(random.Random(seed), rate=0.1)                    # any fault, one call in ten
        proxy.behave()                                               # honest again

Each fault is a function in FAULTS; one that is a lie about something suits some methods alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import random
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

Reply = dict[str, Any]
ANY = "*"
HUGE_BYTES = 100 * 2**20
CHUNK = b" " * 2**16
STRANGE_HASH = "0x" + "ee" * 32


class ChainProxy:
    """Listens at `url`; `met` counts the faults that were applied, `asked` the calls by method.

    `delay_s` is how long "delay" delays, `pause_s` how long "slow" waits between two bytes, and
    `lag_blocks` how far "lagging" is behind. `strayed` counts what came after a redirect, `sent`
    the bytes of huge replies that left.
    """

    def __init__(self, chain_url: str) -> None:
        self.chain_url = chain_url
        self.url = ""
        self.delay_s = 0.05
        self.pause_s = 0.05
        self.lag_blocks = 3
        self.met: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.strayed = 0
        self.sent = 0
        self._spoilt: list[_Spoilt] = []
        self._random: random.Random | None = None
        self._rate = 0.0
        self._choice: tuple[str, ...] = ()
        self._earlier: dict[str, Reply] = {}
        self._session: aiohttp.ClientSession | None = None

    def spoil(self, fault: str, method: str = ANY, *, times: int | None = None) -> None:
        """Apply a fault to every call of a method, or to the next `times` of them."""
        if fault not in FAULTS:
            raise KeyError(fault)
        self._spoilt.append(_Spoilt(fault, method, times))

    def rage(
        self, chance: random.Random, rate: float, faults: tuple[str, ...] | None = None
    ) -> None:
        """Apply a fault, any or one of these, to a call with this probability."""
        self._random, self._rate = chance, rate
        self._choice = tuple(FAULTS) if faults is None else faults

    def behave(self) -> None:
        """Pass everything on from now on."""
        self._spoilt.clear()
        self._random = None

    async def forward(self, call: Reply) -> Reply:
        """The real server's reply to a call."""
        assert self._session is not None
        async with self._session.post(self.chain_url, json=call) as response:
            reply: Reply = await response.json()
        return reply

    async def ask(self, method: str, *parameters: Any) -> Any:
        """The real server's result for a question of our own."""
        call = {"jsonrpc": "2.0", "id": 0, "method": method, "params": list(parameters)}
        return (await self.forward(call))["result"]

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one call, honestly or not."""
        if request.path == "/elsewhere":
            self.strayed += 1
        call = await request.json()
        self.asked[call["method"]] += 1
        exchange = Exchange(self, request, call)
        fault = self._fault_for(call["method"])
        if fault is None:
            return exchange.answer(await exchange.honest())
        self.met[fault] += 1
        return await FAULTS[fault].apply(exchange)

    def _fault_for(self, method: str) -> str | None:
        for spoilt in self._spoilt:
            if spoilt.method in (ANY, method) and FAULTS[spoilt.fault].suits(method):
                if spoilt.times is not None:
                    spoilt.times -= 1
                    if spoilt.times == 0:
                        self._spoilt.remove(spoilt)
                return spoilt.fault
        if self._random is None or self._random.random() >= self._rate:
            return None
        suitable = [name for name in self._choice if FAULTS[name].suits(method)]
        return self._random.choice(suitable) if suitable else None


@dataclass
class _Spoilt:
    fault: str
    method: str
    times: int | None


class Exchange:
    """One call, and what a fault may do with it."""

    def __init__(self, proxy: ChainProxy, request: web.Request, call: Reply) -> None:
        self.proxy = proxy
        self.request = request
        self.call = call
        self.method: str = call["method"]
        self.question = repr((self.method, call["params"]))

    async def honest(self) -> Reply:
        """The real server's reply, which is remembered as an earlier one."""
        reply = await self.proxy.forward(self.call)
        self.proxy._earlier.setdefault(self.question, reply)
        return copy.deepcopy(reply)

    def answer(self, reply: Reply, *, status: int = 200) -> web.Response:
        return web.json_response(reply, status=status)

    def result(self, value: Any) -> web.Response:
        return self.answer({"jsonrpc": "2.0", "id": self.call["id"], "result": value})

    def refuse(self, message: str, code: int = -32000) -> web.Response:
        error = {"code": code, "message": message}
        return self.answer({"jsonrpc": "2.0", "id": self.call["id"], "error": error})

    def cut(self) -> web.Response:
        """Close the connection; the answer that is returned goes nowhere."""
        if self.request.transport is not None:
            self.request.transport.abort()
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
    earlier = exchange.proxy._earlier[exchange.question]
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


@fault("redirect")
async def _redirect(_: Exchange) -> web.StreamResponse:
    return web.Response(status=307, headers={"Location": "/elsewhere"})


@fault("wrong id")
async def _wrong_id(exchange: Exchange) -> web.StreamResponse:
    return exchange.answer({**await exchange.honest(), "id": exchange.call["id"] + 1})


@fault("wrong version")
async def _wrong_version(exchange: Exchange) -> web.StreamResponse:
    return exchange.answer({**await exchange.honest(), "jsonrpc": "1.0"})


# ---------------------------------------------------------------------- lies about the chain


@fault("another chain", "eth_chainId")
async def _another_chain(exchange: Exchange) -> web.StreamResponse:
    return exchange.result("0xaa36a7")


@fault("head backwards", "eth_getBlockByNumber")
async def _head_backwards(exchange: Exchange) -> web.StreamResponse:
    """Asked for the latest block, an older one is given."""
    if exchange.call["params"][0] != "latest":
        return exchange.answer(await exchange.honest())
    head = int(await exchange.proxy.ask("eth_blockNumber"), 16)
    number = hex(max(head - exchange.proxy.lag_blocks, 0))
    return exchange.result(await exchange.proxy.ask("eth_getBlockByNumber", number, False))


@fault("head in the future", "eth_getBlockByNumber")
async def _head_in_the_future(exchange: Exchange) -> web.StreamResponse:
    reply = await exchange.honest()
    if exchange.call["params"][0] == "latest":
        number = int(reply["result"]["number"], 16) + 1_000_000
        reply["result"] |= {"number": hex(number), "hash": STRANGE_HASH}
    return exchange.answer(reply)


@fault("another block", "eth_getBlockByNumber")
async def _another_block(exchange: Exchange) -> web.StreamResponse:
    reply = await exchange.honest()
    if reply["result"] is not None:
        reply["result"]["hash"] = STRANGE_HASH
    return exchange.answer(reply)


@fault(
    "lagging",
    *("eth_getBlockByNumber", "eth_getTransactionReceipt", "eth_getTransactionCount"),
    *("eth_call", "eth_getCode"),
)
async def _lagging(exchange: Exchange) -> web.StreamResponse:
    """What a server that is `lag_blocks` behind would say."""
    head = int(await exchange.proxy.ask("eth_blockNumber"), 16)
    seen = max(head - exchange.proxy.lag_blocks, 0)
    if exchange.method == "eth_getTransactionReceipt":
        reply = await exchange.honest()
        found = reply["result"]
        ahead = found is not None and int(found["blockNumber"], 16) > seen
        return exchange.answer({**reply, "result": None} if ahead else reply)
    parameters = list(exchange.call["params"])
    place = 0 if exchange.method == "eth_getBlockByNumber" else 1
    if parameters[place] in ("latest", "pending"):
        parameters[place] = hex(seen)
    elif int(parameters[place], 16) > seen:
        return exchange.result(None)
    call = {**exchange.call, "params": parameters}
    return exchange.answer(await exchange.proxy.forward(call))


# ---------------------------------------------------------------------- lies about the account


@fault("nonce too low", "eth_getTransactionCount")
async def _count_too_low(exchange: Exchange) -> web.StreamResponse:
    count = int((await exchange.honest())["result"], 16)
    return exchange.result(hex(max(count - 3, 0)))


@fault("nonce too high", "eth_getTransactionCount")
async def _count_too_high(exchange: Exchange) -> web.StreamResponse:
    count = int((await exchange.honest())["result"], 16)
    return exchange.result(hex(count + 1_000_000_000))


@fault("fees beyond reason", "eth_feeHistory", "eth_maxPriorityFeePerGas", "eth_estimateGas")
async def _fees_beyond_reason(exchange: Exchange) -> web.StreamResponse:
    most = hex(2**62)
    fees = {"baseFeePerGas": [most, most], "oldestBlock": "0x0", "gasUsedRatio": [0.5]}
    return exchange.result(fees if exchange.method == "eth_feeHistory" else most)


# ---------------------------------------------------------------------- lies about a receipt


def _receipt_lie(name: str, change: Callable[[Reply], Reply]) -> None:
    @fault(name, "eth_getTransactionReceipt")
    async def lie(exchange: Exchange) -> web.StreamResponse:
        reply = await exchange.honest()
        if reply["result"] is not None:
            reply["result"] = change(reply["result"])
        return exchange.answer(reply)


_receipt_lie("no block hash", lambda receipt: receipt | {"blockHash": None})
_receipt_lie("another block's receipt", lambda receipt: receipt | {"blockHash": STRANGE_HASH})
_receipt_lie("another's receipt", lambda receipt: receipt | {"transactionHash": STRANGE_HASH})
_receipt_lie("reverted", lambda receipt: receipt | {"status": "0x0", "logs": []})
_receipt_lie("no event", lambda receipt: receipt | {"logs": []})


@fault("no receipt", "eth_getTransactionReceipt")
async def _no_receipt(exchange: Exchange) -> web.StreamResponse:
    return exchange.result(None)


# ---------------------------------------------------------------------- lies about a broadcast


def _broadcast_lie(name: str, message: str, *, passed_on: bool) -> None:
    @fault(name, "eth_sendRawTransaction")
    async def lie(exchange: Exchange) -> web.StreamResponse:
        if passed_on:
            await exchange.honest()
        return exchange.refuse(message)


_broadcast_lie("already known, but not", "already known", passed_on=False)
_broadcast_lie("nonce too low, but taken", "nonce too low", passed_on=True)
_broadcast_lie("nonce too low, but not", "nonce too low", passed_on=False)
_broadcast_lie("underpriced", "replacement transaction underpriced", passed_on=False)
_broadcast_lie("underpriced, but taken", "transaction underpriced", passed_on=True)
_broadcast_lie("no funds", "insufficient funds for gas * price + value", passed_on=False)
_broadcast_lie("refused, but taken", "execution reverted", passed_on=True)


@fault("taken, but not", "eth_sendRawTransaction")
async def _taken_but_not(exchange: Exchange) -> web.StreamResponse:
    """A node that loses what it was given, having said its hash."""
    from voketag.merkle import keccak256

    raw = bytes.fromhex(exchange.call["params"][0][2:])
    return exchange.result("0x" + keccak256(raw).hex())


@contextlib.asynccontextmanager
async def chain_proxy(chain_url: str) -> AsyncIterator[ChainProxy]:
    """A proxy in front of a chain, on a port of its own."""
    proxy = ChainProxy(chain_url)
    app = web.Application()
    app.router.add_post("/{path:.*}", proxy.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession() as session:
        proxy._session = session
        try:
            yield proxy
        finally:
            await runner.cleanup()
