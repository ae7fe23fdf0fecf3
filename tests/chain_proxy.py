"""A chain's server that can be made to misbehave: JSON-RPC passed on to a real one, and spoilt.

    async with chain_proxy(chain_url) as proxy:
        proxy.spoil("no block hash", "eth_getTransactionReceipt")    # from now on
        proxy.spoil("drop the reply", times=1)                       # the next call, whatever it is
        proxy.rage(random.Random(seed), rate=0.1)                    # any fault, one call in ten
        proxy.behave()                                               # honest again

The faults are those of tests.chain_faults and tests.chain_lies; a lie suits some methods alone.
"""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from tests import chain_lies
from tests.chain_faults import FAULTS, Exchange, Reply

ANY = "*"
LIES = chain_lies.LIES


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
        self.earlier: dict[str, Reply] = {}
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
