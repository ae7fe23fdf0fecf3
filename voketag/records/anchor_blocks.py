"""What the chain says of anchors: the blocks they are in, their finality, and who was told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from voketag.records.database import Connection


class Settled(msgspec.Struct, frozen=True):
    """The block that an included or final anchor was last seen in."""

    anchor_id: UUID
    block_number: int
    block_hash: bytes


class Inclusion(msgspec.Struct, frozen=True):
    """The transaction that took effect, and its block; `anchored_at` is the block's own time."""

    tx_hash: bytes
    block_number: int
    block_hash: bytes
    anchored_at: datetime
    gas_used: int


class Unannounced(msgspec.Struct, frozen=True):
    """A completed batch that nobody was told of."""

    batch_id: UUID
    factory_id: UUID
    product_count: int
    completed_at: datetime
    tx_hash: bytes
    block_number: int


async def head(connection: Connection, chain_id: int) -> tuple[int, bytes] | None:
    """Number and hash of the last block that was seen as the chain's head."""
    row = await connection.fetchrow(
        "SELECT block_number, block_hash FROM chain_heads WHERE chain_id = $1", chain_id
    )
    return None if row is None else (row["block_number"], row["block_hash"])


async def set_head(
    connection: Connection, chain_id: int, block_number: int, block_hash: bytes
) -> None:
    """Remember the chain's head."""
    await connection.execute(
        "INSERT INTO chain_heads (chain_id, block_number, block_hash) VALUES ($1, $2, $3) "
        "ON CONFLICT (chain_id) DO UPDATE SET block_number = $2, block_hash = $3",
        chain_id,
        block_number,
        block_hash,
    )


async def settled_before(
    connection: Connection, chain_id: int, before: tuple[int, UUID] | None, limit: int
) -> list[Settled]:
    """Anchors that are in a block, the highest block first, continuing after `before`."""
    block_number, anchor_id = before if before is not None else (2**62, UUID(int=0))
    rows = await connection.fetch(
        "SELECT anchor_id, block_number, block_hash FROM anchors "
        "WHERE chain_id = $1 AND (block_number, anchor_id) < ($2, $3) "
        "AND status IN ('included', 'final') "
        "ORDER BY block_number DESC, anchor_id DESC LIMIT $4",
        chain_id,
        block_number,
        anchor_id,
        limit,
    )
    return [Settled(**row) for row in rows]


async def mark_included(connection: Connection, anchor_id: UUID, inclusion: Inclusion) -> None:
    """Note the block an anchor is in."""
    await connection.execute(
        "UPDATE anchors SET status = 'included', tx_hash = $2, block_number = $3, "
        "block_hash = $4, anchored_at = $5, gas_used = $6 WHERE anchor_id = $1",
        anchor_id,
        inclusion.tx_hash,
        inclusion.block_number,
        inclusion.block_hash,
        inclusion.anchored_at,
        inclusion.gas_used,
    )


async def mark_final(connection: Connection, anchor_id: UUID) -> None:
    """An included anchor is final, and its batches are completed. To be run in a transaction."""
    await connection.execute(
        "UPDATE anchors SET status = 'final', final_at = clock_timestamp() "
        "WHERE anchor_id = $1 AND status = 'included'",
        anchor_id,
    )
    await connection.execute(
        "UPDATE batches SET status = 'completed', completed_at = clock_timestamp() "
        "FROM anchor_roots WHERE anchor_roots.batch_id = batches.batch_id "
        "AND anchor_roots.anchor_id = $1 AND batches.status = 'processing'",
        anchor_id,
    )


async def mark_orphaned(connection: Connection, anchor_ids: Sequence[UUID]) -> None:
    """Anchors whose block is gone; their batches wait again. To be run in a transaction."""
    await connection.execute(
        "UPDATE anchors SET status = 'orphaned', tx_hash = NULL, block_number = NULL, "
        "block_hash = NULL, anchored_at = NULL, gas_used = NULL, final_at = NULL "
        "WHERE anchor_id = ANY($1::uuid[])",
        anchor_ids,
    )
    await connection.execute(
        "UPDATE batches SET status = 'processing', completed_at = NULL "
        "FROM anchor_roots WHERE anchor_roots.batch_id = batches.batch_id "
        "AND anchor_roots.anchor_id = ANY($1::uuid[]) AND batches.status = 'completed'",
        anchor_ids,
    )


async def batches_of(connection: Connection, anchor_ids: Sequence[UUID]) -> list[UUID]:
    """The batches whose roots these anchors commit."""
    rows = await connection.fetch(
        "SELECT batch_id FROM anchor_roots WHERE anchor_id = ANY($1::uuid[])", anchor_ids
    )
    return [row["batch_id"] for row in rows]


async def unannounced(connection: Connection, limit: int) -> list[Unannounced]:
    """Completed batches that nobody was told of yet, the oldest first."""
    rows = await connection.fetch(
        "SELECT b.batch_id, b.factory_id, b.product_count, b.completed_at, "
        "a.tx_hash, a.block_number "
        "FROM batches b JOIN anchor_roots USING (batch_id) JOIN anchors a USING (anchor_id) "
        "WHERE b.status = 'completed' AND b.announced_at IS NULL AND a.status = 'final' "
        "ORDER BY b.completed_at LIMIT $1",
        limit,
    )
    return [Unannounced(**row) for row in rows]


async def mark_announced(connection: Connection, batch_ids: Sequence[UUID]) -> None:
    """Note that these batches were announced."""
    await connection.execute(
        "UPDATE batches SET announced_at = clock_timestamp() WHERE batch_id = ANY($1::uuid[])",
        batch_ids,
    )
