"""anchor: brings batch roots onto the chain, and announces the batches that are final there.

`handle` stores roots and nothing else. `tick` calls `advance()`, after a crash as at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from voketag import events, notices, proofs
from voketag.anchoring.advance import Anchoring
from voketag.consumer import Consumer
from voketag.errors import Rejected, Unavailable
from voketag.events import RootReady
from voketag.process import Wires, run_consumer
from voketag.records import anchor_blocks, anchors
from voketag.records.anchor_blocks import Unannounced
from voketag.redis import batch_cache
from voketag.redis.connection import Command
from voketag.redis.streams import Entry
from voketag.traces import Tracer

ANNOUNCED_AT_ONCE = 500
LINGER_S = 0.1  # each reading of roots is followed by a look at the chain


def build(wires: Wires) -> Consumer:
    """The consumer of the stream of batch roots."""
    forget = partial(batch_cache.forget, wires.streams.redis)
    anchoring = Anchoring(wires.database, wires.chain, wires.settings, forget=forget)
    return Consumer(
        "anchor",
        (events.ROOTS,),
        partial(_handle, wires, wires.tracer("anchor")),
        linger_s=LINGER_S,
        tick=partial(_tick, wires, anchoring),
    )


async def _handle(wires: Wires, tracer: Tracer, entries: Sequence[Entry]) -> Sequence[Command]:
    """Queue the roots; a root that is queued already stays as it is."""
    with tracer.handling("anchor", entries):
        await _queue(wires, entries)
    return ()


async def _queue(wires: Wires, entries: Sequence[Entry]) -> None:
    ready = [events.decode(entry.fields or {}, RootReady) for entry in entries]
    roots = [(item.batch_id, _root(item)) for item in ready]
    async with wires.database.transaction() as connection:
        refused = await anchors.store_roots(connection, roots)
        if refused:
            names = ", ".join(map(str, sorted(refused)))
            raise Rejected(f"unknown batch, or one that was queued with another root: {names}")


def _root(ready: RootReady) -> bytes:
    try:
        return proofs.unhex(ready.root, "root")
    except proofs.ProofFault as error:
        raise Rejected(str(error)) from error


async def _tick(wires: Wires, anchoring: Anchoring) -> float:
    try:
        progress = await anchoring.advance()
    except Unavailable:
        await announce(wires)  # a silent chain keeps back no notice of what was final before
        raise
    if progress.writer:
        await announce(wires)
    return progress.delay_s


async def announce(wires: Wires) -> None:
    """Publish a notice for every completed batch that has none yet.

    Published first, noted afterwards: a crash in between publishes it again, under the same id.
    """
    while True:
        async with wires.database.connection() as connection:
            batches = await anchor_blocks.unannounced(connection, ANNOUNCED_AT_ONCE)
        if not batches:
            return
        announced: list[UUID] = []
        for batch in batches:
            await wires.streams.publish(events.NOTICES, events.encode(_notice(batch)))
            announced.append(batch.batch_id)
        async with wires.database.transaction() as connection:
            await anchor_blocks.mark_announced(connection, announced)


def _notice(batch: Unannounced) -> events.Notice:
    detail = {
        "product_count": batch.product_count,
        "tx_hash": "0x" + batch.tx_hash.hex(),
        "block_number": batch.block_number,
    }
    return notices.of_batch(
        "batch.completed", batch.batch_id, batch.factory_id, batch.completed_at, detail
    )


if __name__ == "__main__":
    run_consumer(build, database=True, chain=True)
