"""register: makes the products of each accepted batch, with their Merkle tree, all or nothing.

Ids, serials and leaves follow from the batch's row, so an entry that comes again makes the same
rows or finds them made. What follows is told in the instant that acknowledges the entry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import structlog

from voketag import events, merkle, notices
from voketag.batches.making import Chunk, Maker
from voketag.consumer import Consumer
from voketag.errors import Rejected
from voketag.events import BatchAccepted, RootReady
from voketag.identifiers import rfc3339
from voketag.process import Wires, run_consumer
from voketag.records import batches, products, serials, trees
from voketag.records.batches import Blueprint
from voketag.records.database import Connection
from voketag.redis.connection import Command
from voketag.redis.streams import Entry, add

CHUNK_PRODUCTS = 5_000
LARGE_PRODUCTS = 50_000
AT_ONCE = 2  # batches of a stream: the products of one are derived while Postgres takes in others
log = structlog.get_logger()


def build(wires: Wires) -> Consumer:
    """The consumer of the batch streams.

    Few entries are taken at once: each may be seconds of work, and what follows from it waits for
    its neighbour.
    """
    streams = tuple(events.batches(shard) for shard in range(wires.settings.shards))
    register = Register(wires)
    return Consumer("register", streams, register.handle, batch=AT_ONCE, buried=register.give_up)


class Register:
    """Makes batches. Of the large ones, whose trees take room, one at a time in a process."""

    def __init__(self, wires: Wires) -> None:
        self._wires = wires
        self._tracer = wires.tracer("register")
        self._large = asyncio.Lock()

    async def handle(self, entries: Sequence[Entry]) -> Sequence[Command]:
        """Make the batches of these entries, all at once. Raises Rejected for one that was never
        accepted, or whatever befell another; none of them is at work any more then.
        """
        commands: list[Command] = []
        with self._tracer.handling("register", entries) as handling:
            accepted = [events.decode(entry.fields or {}, BatchAccepted) for entry in entries]
            making = [asyncio.create_task(self._made(one.batch_id)) for one in accepted]
            try:
                made = await asyncio.gather(*making)
            finally:
                await asyncio.wait(making)
                del making  # a failure would hold itself, and a tree, until garbage is collected
            for at, batch in enumerate(made):
                carried = {} if handling.onward is None else handling.onward[at]
                commands += _what_follows(batch, carried)
        return commands

    async def give_up(self, entry: Entry, error: str) -> None:
        """Say of a batch whose entry is buried that it failed."""
        try:
            batch_id = events.decode(entry.fields or {}, BatchAccepted).batch_id
        except Rejected:
            return  # not an entry of ours: no batch is known to be meant
        async with self._wires.database.connection() as connection:
            failed = await batches.mark_failed(connection, batch_id, error.replace("\0", "?"))
        if failed is not None:
            notice = notices.of_batch("batch.failed", batch_id, failed.factory_id, failed.failed_at)
            await self._wires.streams.publish(events.NOTICES, events.encode(notice))

    async def _made(self, batch_id: UUID) -> Blueprint:
        """The batch with its products stored, now or before. A failed one is tried again: that is
        what sending its dead letter once more asks for.
        """
        made = await self._make(batch_id, even_large=False)
        if made is None:
            async with self._large:  # waited for without a connection: others have work for it
                made = await self._make(batch_id, even_large=True)
        assert made is not None
        return made

    async def _make(self, batch_id: UUID, *, even_large: bool) -> Blueprint | None:
        """The same; None, and nothing done, where it has yet to be made and is too large."""
        async with self._wires.database.transaction() as connection:
            batch = await batches.blueprint_locked(connection, batch_id)
            if batch is None:
                raise Rejected(f"no batch {batch_id} was accepted")
            if batch.status not in ("pending", "failed"):
                return batch
            if batch.product_count >= LARGE_PRODUCTS and not even_large:
                return None
            root = await _store(connection, batch)
            made = await batches.mark_processing(connection, batch.batch_id, root)
        log.info("batch stored", batch_id=str(batch.batch_id), products=batch.product_count)
        return made


async def _store(connection: Connection, batch: Blueprint) -> bytes:
    """Store all products and the tree over them, a chunk at a time; gives the root.

    While Postgres takes in one chunk, a thread derives the next: the event loop stays free, for
    the leases have to be renewed, and a large batch takes two thirds of the time.
    """
    made = batch.manufactured_at
    maker = Maker(
        batch.batch_id, batch.factory_id, batch.sku, None if made is None else rfc3339(made)
    )
    leaves = merkle.Leaves()
    derived: Chunk | None = None
    for start in range(0, batch.product_count, CHUNK_PRODUCTS):
        stop = min(start + CHUNK_PRODUCTS, batch.product_count)
        given = None
        if batch.serials_given:
            given = await serials.given(connection, batch.batch_id, start, stop)
        deriving = asyncio.create_task(
            asyncio.to_thread(_derive, maker, leaves, start, stop, given)
        )
        try:
            await _add(connection, batch.batch_id, derived)
        finally:  # neither is left at work when the other fails
            derived = await deriving
    await _add(connection, batch.batch_id, derived)
    tree = await asyncio.to_thread(leaves.tree)
    await trees.add_tree(connection, batch.batch_id, tree)
    return merkle.node(tree, 0)


def _derive(
    maker: Maker, leaves: merkle.Leaves, start: int, stop: int, given: Sequence[str] | None
) -> Chunk:
    chunk = maker.chunk(start, stop, given)
    leaves.extend(chunk.leaves)
    return chunk


async def _add(connection: Connection, batch_id: UUID, chunk: Chunk | None) -> None:
    if chunk is not None:
        await products.add_products(connection, batch_id, chunk.product_ids, chunk.serials)


def _what_follows(batch: Blueprint, carried: dict[str, bytes]) -> list[Command]:
    """The root on its way to the chain, and the notice. Whoever reads them can take them twice."""
    assert batch.merkle_root is not None
    assert batch.stored_at is not None
    root = "0x" + batch.merkle_root.hex()
    detail = {"product_count": batch.product_count, "merkle_root": root}
    notice = notices.of_batch(
        "batch.processing", batch.batch_id, batch.factory_id, batch.stored_at, detail
    )
    return [
        add(events.ROOTS, events.encode(RootReady(batch.batch_id, root)) | carried),
        add(events.NOTICES, events.encode(notice) | carried),
    ]


if __name__ == "__main__":
    run_consumer(build, database=True, partitions=True)
