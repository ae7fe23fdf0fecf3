"""Looking up products that Redis has forgotten: who waits at the same time shares the queries."""

from __future__ import annotations

import asyncio
from uuid import UUID

from voketag.process import Wires
from voketag.records.known_products import KnownProduct, known_products
from voketag.redis.intake import Found
from voketag.tasks import end

AT_ONCE = 2  # one is decoded while the other is run
MOST = 128  # products; what many scans of each amount to still takes no long


class ProductLookUps:
    """The look-ups of one process."""

    def __init__(self, wires: Wires) -> None:
        self._wires = wires
        self._waiting: dict[UUID, asyncio.Future[Found]] = {}
        self._working: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Give up what is under way."""
        await end(*self._working)

    async def find(self, product_id: UUID) -> Found:
        """A product that is not in the cache, and its history; Redis is told again what else it
        may have forgotten of it. Nothing is kept of a product that does not exist: it may be
        stored in the next moment. Raises Unavailable.
        """
        future = self._waiting.get(product_id)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            self._waiting[product_id] = future
            if len(self._working) < AT_ONCE:
                task = asyncio.create_task(self._work())
                self._working.add(task)
                task.add_done_callback(self._working.discard)
        return await asyncio.shield(future)  # another one may wait for it too

    async def _work(self) -> None:
        while self._waiting:
            batch = {key: self._waiting.pop(key) for key in list(self._waiting)[:MOST]}
            try:
                found = await self._found(list(batch))
            except Exception as error:
                for future in batch.values():
                    future.set_exception(error)
                continue
            for product_id, future in batch.items():
                future.set_result(found.get(product_id) or Found(None))

    async def _found(self, product_ids: list[UUID]) -> dict[UUID, Found]:
        async with self._wires.database.connection() as connection:
            known = await known_products(connection, product_ids)
        for product_id, one in known.items():
            await self._remind(product_id, one)
        return {key: Found(one.product, one.history) for key, one in known.items()}

    async def _remind(self, product_id: UUID, known: KnownProduct) -> None:
        intake, standing = self._wires.intake, known.standing
        if known.recalled:
            await intake.recall(known.product.batch_id)
        if standing.believed:
            await intake.report(product_id, *standing.believed)
        if standing.dismissed:
            await intake.forget_reports(product_id, *standing.dismissed)
