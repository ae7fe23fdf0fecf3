"""What the chain says of our anchors: which are in a block, which are final, which have vanished.

Two invariants carry this file.

1. The remembered head is at or above the block of every included or final anchor, because it is
   written before them. So a reorganisation that removes an anchor's block removes the remembered
   head as well, and comparing that one block finds it, however long nobody looked.
2. What is written about blocks was read while the head did not change. So when an anchor's block is
   canonical, the blocks of all anchors below it are, and the search for lost ones stops there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

import structlog

from voketag import metrics
from voketag.anchoring.registry import Registry
from voketag.chain.client import Block, Chain, Receipt
from voketag.errors import Unavailable
from voketag.records import anchor_blocks
from voketag.records.anchor_blocks import Inclusion
from voketag.records.anchors import Anchor
from voketag.records.database import Database

PAGE = 100
Forget = Callable[[Sequence[UUID]], Awaitable[None]]
log = structlog.get_logger()


async def recheck(
    database: Database, chain: Chain, registry: Registry, head: Block, forget: Forget
) -> bool:
    """Compare the remembered head with the chain; where it is gone, orphan what vanished with it.

    Gives whether there was a reorganisation. A crash in here changes nothing: the orphans and the
    new head are one transaction, and until then the old head is found missing again. `forget` is
    told first: what was said of these batches elsewhere must not outlive the truth by a crash.
    """
    async with database.connection() as connection:
        seen = await anchor_blocks.head(connection, registry.chain_id)
    if seen == (head.number, head.hash):
        return False
    moved = seen is not None and not await _is_canonical(chain, registry, head, *seen)
    vanished = await _vanished(database, chain, registry, head) if moved else []
    if vanished:
        async with database.connection() as connection:
            batches = await anchor_blocks.batches_of(connection, vanished)
        await forget(batches)
    async with database.transaction() as connection:
        if vanished:
            await anchor_blocks.mark_orphaned(connection, vanished)
        await anchor_blocks.set_head(connection, registry.chain_id, head.number, head.hash)
    if moved:
        log.warning("chain reorganised", seen=None if seen is None else seen[0], head=head.number)
    for anchor_id in vanished:
        log.warning("anchor orphaned", anchor_id=str(anchor_id))
    metrics.ORPHANED.inc(len(vanished))
    return moved


async def _is_canonical(
    chain: Chain, registry: Registry, head: Block, number: int, block_hash: bytes
) -> bool:
    """Whether the remembered head is still part of the chain.

    Raises Unavailable for a head a little below it: that is one node of several that lags behind.
    A chain with many users never stays shorter than it was, so waiting tells the two apart. A
    development chain does: a killed node comes back without its last seconds and stands still.
    """
    if head.number < number:
        if not registry.development and number - head.number <= registry.confirmations:
            raise Unavailable(f"chain: the server is at block {head.number}, {number} was seen")
        return False
    block = head if head.number == number else await chain.block_by_number(number)
    return block is not None and block.hash == block_hash


async def _vanished(
    database: Database, chain: Chain, registry: Registry, head: Block
) -> list[UUID]:
    """The anchors whose block is no longer canonical, final ones included."""
    vanished: list[UUID] = []
    before = None
    known: dict[int, bytes | None] = {}
    while True:
        async with database.connection() as connection:
            page = await anchor_blocks.settled_before(connection, registry.chain_id, before, PAGE)
        for settled in page:
            number = settled.block_number
            if number not in known:
                known[number] = await _hash_at(chain, registry, head, number)
            if known[number] == settled.block_hash:
                return vanished
            vanished.append(settled.anchor_id)
        if len(page) < PAGE:
            return vanished
        before = (page[-1].block_number, page[-1].anchor_id)


async def _hash_at(chain: Chain, registry: Registry, head: Block, number: int) -> bytes | None:
    """The hash of the canonical block that stands where an anchor's block stood, None for none.

    Raises Unavailable where head and block do not go together; and on a chain with many users for
    any head below that block, because what replaces it there reaches as high: a server is behind.
    """
    block = await chain.block_by_number(number)
    if number <= head.number and block is not None:
        return block.hash
    if number > head.number and block is None and registry.development:
        return None
    raise Unavailable(f"chain: the server is at block {head.number}, an anchor was in {number}")


async def look(
    database: Database, chain: Chain, registry: Registry, head: Block, watched: list[Anchor]
) -> list[Anchor]:
    """Look for the block of every watched anchor, and settle those that have one.

    Gives the anchors whose nonce was used up by something else, so that no transaction signed for
    them can take effect any more. Everything is read first, then the head is compared once more,
    then all is written at once: see the second invariant. A crash in here changes nothing.
    """
    settled: list[tuple[Anchor, Inclusion]] = []
    spent: list[Anchor] = []
    for anchor in watched:
        receipt = await _effective(chain, anchor)
        if receipt is None and await _nonce_is_spent(chain, registry, head, anchor):
            receipt = await _anchored_otherwise(chain, anchor)
            if receipt is None:
                spent.append(anchor)
        # A block above this head is for the next time: its depth is not known yet.
        if receipt is not None and receipt.block_number <= head.number:
            settled.append((anchor, await _inclusion(chain, anchor, receipt)))
    if settled or spent:
        block = await chain.block_by_number(head.number)
        if block is None or block.hash != head.hash:
            raise Unavailable("chain: it was reorganised while it was read")
    await _settle(database, registry, head, settled)
    return spent


async def _effective(chain: Chain, anchor: Anchor) -> Receipt | None:
    """The receipt of the transaction that anchored the root, of all that were ever signed for it.

    Success alone is not enough: a call to an address without a contract, on a chain that lost it,
    succeeds and does nothing. The event is the proof.
    """
    receipts = await asyncio.gather(
        *(chain.receipt(transaction.tx_hash) for transaction in anchor.transactions)
    )
    for receipt in receipts:
        if receipt is not None and _anchors(receipt, anchor):
            return receipt
    return None


def _anchors(receipt: Receipt, anchor: Anchor) -> bool:
    return receipt.succeeded and (anchor.contract, anchor.root) in receipt.anchored


async def _nonce_is_spent(chain: Chain, registry: Registry, head: Block, anchor: Anchor) -> bool:
    """Whether the nonce is used up, as of a block that is final for us: not by a node's word of a
    moment, after which the transaction might still turn up.
    """
    final = max(head.number - registry.confirmations + 1, 0)
    return await chain.transaction_count(anchor.sender, final) > anchor.nonce


async def _anchored_otherwise(chain: Chain, anchor: Anchor) -> Receipt | None:
    """The receipt of a transaction this table does not know of (a database put back from a backup)
    that anchored the root: ours reverted because of it, and it is as good.
    """
    if not await chain.anchored_at(anchor.contract, anchor.root):
        return None
    tx_hash = await chain.anchored_by(anchor.contract, anchor.root)
    if tx_hash is None:
        raise Unavailable("chain: a root is anchored, but the server does not find its event")
    receipt = await chain.receipt(tx_hash)
    if receipt is None or not _anchors(receipt, anchor):
        raise Unavailable("chain: a root is anchored, but not by the transaction the server names")
    return receipt


async def _inclusion(chain: Chain, anchor: Anchor, receipt: Receipt) -> Inclusion:
    """Where a receipt says that the root was anchored, if two other answers agree: the block is
    canonical, and its time is what the contract says.
    """
    block, anchored_at = await asyncio.gather(
        chain.block_by_number(receipt.block_number),
        chain.anchored_at(anchor.contract, anchor.root),
    )
    if block is None or block.hash != receipt.block_hash:
        raise Unavailable("chain: a receipt names a block that is not canonical")
    if anchored_at != block.timestamp:
        raise Unavailable("chain: a receipt says that a root was anchored, the contract does not")
    return Inclusion(
        tx_hash=receipt.tx_hash,
        block_number=receipt.block_number,
        block_hash=receipt.block_hash,
        anchored_at=datetime.fromtimestamp(block.timestamp, UTC),
        gas_used=receipt.gas_used,
    )


async def _settle(
    database: Database, registry: Registry, head: Block, settled: list[tuple[Anchor, Inclusion]]
) -> None:
    """Write what was found; an anchor that is deep enough is final, and its batches completed in
    the same transaction.
    """
    changes = []
    for anchor, inclusion in settled:
        known = anchor.status == "included" and anchor.block_hash == inclusion.block_hash
        final = head.number - inclusion.block_number + 1 >= registry.confirmations
        if final or not known:
            changes.append((anchor.anchor_id, inclusion, final))
    if not changes:
        return
    async with database.transaction() as connection:
        for anchor_id, inclusion, final in changes:
            await anchor_blocks.mark_included(connection, anchor_id, inclusion)
            if final:
                await anchor_blocks.mark_final(connection, anchor_id)
    for anchor_id, inclusion, final in changes:
        if final:
            metrics.ANCHORS_FINAL.inc()
            metrics.ANCHOR_GAS.inc(inclusion.gas_used)
        log.info(
            "anchor final" if final else "anchor included",
            anchor_id=str(anchor_id),
            block_number=inclusion.block_number,
            gas_used=inclusion.gas_used,
        )
