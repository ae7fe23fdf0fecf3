"""Looking up products that Redis has forgotten: who waits at the same time shares the queries."""

from __future__ import annotations

import asyncio
from uuid import UUID

from voketag import standing
from voketag.errors import Unavailable
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
                await self._answer(batch)
            except Exception as error:
                for future in batch.values():
                    if not future.done():
                        future.set_exception(error)

    async def _answer(self, waiting: dict[UUID, asyncio.Future[Found]]) -> None:
        """Give each its product: by the replica, where that knows it and nothing was reported of
        it. What became of a report may not have come over yet, and Redis has been told: the
        primary is asked for those, and for whatever is unknown.
        """
        known = await self._at_replica(list(waiting))
        unreported = {key: one for key, one in known.items() if one.standing.is_empty}
        await self._give(waiting, unreported)
        left = [key for key in waiting if key not in unreported]
        if not left:
            return
        try:
            async with self._wires.database.connection() as connection:
                found = await known_products(connection, left)
        except Unavailable:
            # Of what was reported Redis keeps what it was told last.
            await self._give(
                waiting, {key: known[key].unreported() for key in left if key in known}
            )
            raise
        await self._give(waiting, found)
        for key in left:
            if key not in found:
                waiting[key].set_result(Found(None))

    async def _at_replica(self, product_ids: list[UUID]) -> dict[UUID, KnownProduct]:
        """What the replica knows of these; nothing where there is none that answers."""
        reads = self._wires.reads
        if not reads.has_replica:
            return {}
        try:
            known = await reads.by_replica(
                lambda connection: known_products(connection, product_ids)
            )
        except Unavailable:
            return {}
        if len(known) < len(product_ids):
            reads.note_lacking()
        return known

    async def _give(
        self, waiting: dict[UUID, asyncio.Future[Found]], known: dict[UUID, KnownProduct]
    ) -> None:
        for product_id, one in known.items():
            await self._remind(one)
            waiting[product_id].set_result(Found(one.product, one.history))

    async def _remind(self, known: KnownProduct) -> None:
        if known.recalled:
            await self._wires.intake.recall(known.product.batch_id)
        await standing.tell_reporters(self._wires.intake, known.standing)
