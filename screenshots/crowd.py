"""The people of a picture: factories with their batches, phones around the world, and someone who
copied a code. What happens is the same each time; only ids and times are new.
"""

from __future__ import annotations

import asyncio
import random

from voketag.batches.answers import ProductLine
from voketag.client import ApiError, Device
from voketag.client.waiting import until
from voketag.ops.clients import Clients

READY_TIMEOUT_S = 60.0
IN_FLIGHT_MAX = 32
STEP_S = 0.02
# Most products are scanned where they are sold.
COUNTRIES = ("BR",) * 12 + ("PT",) * 4 + ("AR", "US", "US", "ES", "MX", "DE", "JP")
ABROAD = ("PT", "US", "JP", "DE", "AU", "ZA", "IN", "MX")
FACTORIES = {
    "Calçados Aurora": (("AUR-042", "Runner 42, sea green", 400), ("AUR-107", "Trail boot", 200)),
    "Lumen Cosmetics": (("LUM-SPF50", "Sun cream SPF 50, 200 ml", 600),),
}
RECALLED = ("AUR-013", "Child's sandal", 60)


class Crowd:
    """Those who use one instance."""

    def __init__(self, api: Clients) -> None:
        self.products: list[ProductLine] = []
        self.copied: ProductLine  # whose code was copied
        self.recalled: ProductLine
        self.batch_id = ""
        self._api = api
        self._random = random.Random(7)
        self._in_flight: set[asyncio.Task[None]] = set()

    async def prepare(self) -> None:
        """Factories and their batches, one of them recalled; all stored and final."""
        keys = {}
        for name, batches in FACTORIES.items():
            address = f"erp@{name.split()[-1].lower()}.example"
            keys[name] = (await self._api.ops.create_factory(name, address)).api_key
            for sku, what, count in batches:
                batch_id, products = await self._push(keys[name], sku, what, count)
                self.products += products
                self.batch_id = self.batch_id or batch_id
        first = next(iter(keys.values()))
        recalled_id, of_recalled = await self._push(first, *RECALLED)
        await self._api.factory(first).recall(recalled_id, "A strap can come loose.")
        self.copied, self.recalled = self.products[0], of_recalled[0]
        self._random.shuffle(self.products)
        completed = self._api.factory(first).wait_for
        await completed(self.batch_id, "completed", timeout_s=READY_TIMEOUT_S)

    async def _push(
        self, key: str, sku: str, name: str, count: int
    ) -> tuple[str, list[ProductLine]]:
        factory = self._api.factory(key)
        batch = await factory.create_batch(
            product_count=count, sku=sku, name=name, destination_countries=["BR", "PT"]
        )
        await factory.wait_for(batch.batch_id, "processing", timeout_s=READY_TIMEOUT_S)
        made = [product async for product in factory.products(batch.batch_id)]
        return str(batch.batch_id), made

    async def misuse(self) -> None:
        """One code is scanned around the world and reported, one of a recalled batch is scanned,
        and somebody guesses codes.
        """
        scan = self._api.scan
        for number, country in enumerate(ABROAD, 1):
            await self._scan(self.copied, country, f"198.51.100.{number}", number)
        told = "Bought at a street market; the sole is glued and smells of solvent."
        await scan.report("counterfeit", token=self.copied.token, description=told)
        await scan.report("mismatch", token=self.products[1].token, description="Other colour.")
        await self._scan(self.recalled, "BR", "203.0.113.5", 90)
        for letter in "ABCDEFGH":
            await scan.scan(letter * 50, forwarded_for="203.0.113.9")

        async def stored() -> bool | None:
            day = (await self._api.ops.stats()).today.stored
            return (day.high_risk > 0 and day.recalled > 0) or None

        await until("what happened is stored", stored, READY_TIMEOUT_S)

    async def use(self, for_s: float, rate: int) -> None:
        """So many scans a second, due by the clock, for so many seconds."""
        clock = asyncio.get_running_loop().time
        begun_s, due = clock(), 0
        while (now_s := clock() - begun_s) < for_s:
            while due < now_s * rate:
                due += 1
                if len(self._in_flight) < IN_FLIGHT_MAX:
                    task = asyncio.create_task(self._one())
                    self._in_flight.add(task)
                    task.add_done_callback(self._in_flight.discard)
            await asyncio.sleep(STEP_S)
        await asyncio.gather(*self._in_flight)

    async def _one(self) -> None:
        place = int(self._random.paretovariate(0.7)) % len(self.products)
        phone = 100 + self._random.randrange(5000)
        address = f"198.18.{phone >> 8}.{phone & 255}"  # RFC 2544: no database places it anywhere
        country = self._random.choice(COUNTRIES)
        try:
            await self._scan(self.products[place], country, address, phone)
        except ApiError:
            return  # the picture shows it among the refusals

    async def _scan(self, product: ProductLine, country: str, address: str, phone: int) -> None:
        device = Device(install_id=f"phone-{phone}", model="Pixel 9")
        await self._api.scan.scan(
            product.token, country=country, device=device, forwarded_for=address
        )
