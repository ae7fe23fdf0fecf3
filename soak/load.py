"""Constant load through the HTTP doors: scans at a fixed rate, and a batch now and then.

The load is open: a scan is due at its time, however long the ones before it take. Products and
phones are a fixed crowd, in proportion to the rate: each product is scanned every two seconds, so
that its history (64 scans) is full after two minutes, and each phone three times a minute.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

from voketag import identifiers
from voketag.ops import client
from voketag.ops.client import Client, Failed

PRODUCTS_PER_RATE = 2
PHONES_PER_PRODUCT = 10
BATCH_EVERY_S = 30.0
BATCH_PRODUCTS = 1000
IN_FLIGHT_MAX = 64
STEP_S = 0.01
READY_TIMEOUT_S = 60.0


class Load:
    """What is sent to one instance, and how it was answered."""

    def __init__(self, api: Client, rate: int, named_share: float) -> None:
        self.accepted = 0
        self.failed = 0
        self.not_sent = 0  # too many were in flight: the instance is behind
        self._api = api
        self._rate = rate
        self._named_share = named_share
        self._random = random.Random(1)
        self._key = ""
        self._tokens: list[str] = []
        self._in_flight: set[asyncio.Task[None]] = set()

    async def prepare(self) -> None:
        """Have a factory, and products whose tokens are known."""
        _, self._key = await self._api.create_factory("Soak", "soak@example.com")
        batch_id = await self._push(self._rate * PRODUCTS_PER_RATE)

        async def tokens() -> list[dict[str, Any]] | None:
            batch = await self._api.batch(self._key, batch_id)
            stored = batch["merkle_root"] is not None
            return await self._api.products(self._key, batch_id) if stored else None

        products = await client.until("products", tokens, READY_TIMEOUT_S, every_s=0.1)
        self._tokens = [product["token"] for product in products]

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
        if self._random.random() < self._named_share:
            scan["scan_id"] = str(identifiers.new_id())
        if await self._count(self._api.scan(address, **scan)):
            self.accepted += 1

    async def _push(self, products: int) -> str:
        return await self._api.push_batch(
            self._key, product_count=products, sku="SOAK", name="Soaked shoe"
        )

    async def _count(self, request: Any) -> bool:
        """Whether it was answered as it should be."""
        try:
            await request
        except Failed:
            self.failed += 1
            return False
        return True
