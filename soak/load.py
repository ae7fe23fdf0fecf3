"""Constant load through the HTTP doors: scans at a fixed rate, and a batch now and then.

The load is open: a scan is due at its time, however long the ones before it take. Products and
phones are a fixed crowd, in proportion to the rate: each product is scanned every two seconds, so
that its history (64 scans) is full after two minutes, and each phone three times a minute.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

import msgspec

from voketag import identifiers
from voketag.batches.answers import BatchReceipt
from voketag.client import ApiError
from voketag.client.transport import Call
from voketag.ops.clients import Clients

PRODUCTS_PER_RATE = 2
PHONES_PER_PRODUCT = 10
BATCH_EVERY_S = 30.0
BATCH_PRODUCTS = 1000
IN_FLIGHT_MAX = 64
STEP_S = 0.01
READY_TIMEOUT_S = 60.0


class Load:
    """What is sent to one instance, and how it was answered."""

    def __init__(self, api: Clients, rate: int, named_share: float) -> None:
        self.accepted = 0
        self.failed = 0
        self.not_sent = 0  # too many were in flight: the instance is behind
        self._api = api
        self._rate = rate
        self._named_share = named_share
        self._random = random.Random(1)
        self._factory = api.factory("")
        self._tokens: list[str] = []
        self._in_flight: set[asyncio.Task[None]] = set()

    async def prepare(self) -> None:
        """Have a factory, and products whose tokens are known."""
        made = await self._api.ops.create_factory("Soak", "soak@example.com")
        self._factory = self._api.factory(made.api_key)
        batch = await self._push(self._rate * PRODUCTS_PER_RATE)
        await self._factory.wait_for(batch.batch_id, "processing", timeout_s=READY_TIMEOUT_S)
        products = self._factory.products(batch.batch_id)
        self._tokens = [product.token async for product in products]

    async def run(self, for_s: float) -> None:
        """Send for so many seconds, then wait for what is in flight."""
        clock = asyncio.get_running_loop().time
        begun_s = clock()
        due, batches = 0, 0
        while (now_s := clock() - begun_s) < for_s:
            if now_s >= batches * BATCH_EVERY_S:
                batches += 1
                self._start(self._count(self._push(BATCH_PRODUCTS)))
            while due < now_s * self._rate:
                due += 1
                if len(self._in_flight) < IN_FLIGHT_MAX:
                    self._start(self._scan())
                else:
                    self.not_sent += 1
            await asyncio.sleep(STEP_S)
        await asyncio.gather(*self._in_flight)

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    async def _scan(self) -> None:
        product = self._random.randrange(len(self._tokens))
        phone = product * PHONES_PER_PRODUCT + self._random.randrange(PHONES_PER_PRODUCT)
        # Addresses for benchmarks (RFC 2544): no database places them anywhere.
        address = f"198.{18 + (phone >> 16)}.{phone >> 8 & 255}.{phone & 255}"
        scan: dict[str, Any] = {"token": self._tokens[product], "country": "BR"}
        scan["device"] = {"install_id": f"phone-{phone}", "model": "Soak phone"}
        if named := self._random.random() < self._named_share:
            scan["scan_id"] = str(identifiers.new_id())
        headers = {"X-Forwarded-For": address}
        call = Call("POST", "/v1/scans", named, msgspec.json.encode(scan), headers)
        if await self._count(self._api.scan.ask(call)):
            self.accepted += 1

    async def _push(self, products: int) -> BatchReceipt:
        return await self._factory.create_batch(
            product_count=products, sku="SOAK", name="Soaked shoe"
        )

    async def _count(self, request: Any) -> bool:
        """Whether it was answered as it should be."""
        try:
            await request
        except ApiError:
            self.failed += 1
            return False
        return True
