"""How anchoring stands, for people: what waits, what is on its way, what was last made final."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from voketag.records.anchors import Status, Waiting, waiting
from voketag.records.database import Connection

OPEN_SHOWN = 5


class OpenAnchor(msgspec.Struct, frozen=True):
    """An anchor that is not final. `tx_hash` is the transaction that took effect, or else the one
    signed last, of `transactions` so far; the fee is what that one offers, in wei; `head_block` is
    the last block that was seen of its chain. Ages are in seconds by the database's clock.
    """

    anchor_id: UUID
    chain_id: int
    status: Status
    batch_count: int
    transactions: int
    age_s: float
    tx_hash: bytes | None
    max_fee_per_gas: int | None
    sent_age_s: float | None
    error: str | None
    block_number: int | None
    head_block: int | None
    gas_used: int | None


class FinalAnchor(msgspec.Struct, frozen=True):
    """An anchor that is final."""

    anchor_id: UUID
    batch_count: int
    tx_hash: bytes | None
    block_number: int | None
    gas_used: int | None
    final_at: datetime | None


class Anchoring(msgspec.Struct, frozen=True):
    """Batch roots without an anchor, how many anchors are open and the first of them by nonce, and
    the last that became final.
    """

    waiting: Waiting
    open_count: int
    open: tuple[OpenAnchor, ...]
    last_final: FinalAnchor | None


async def anchoring(connection: Connection) -> Anchoring:
    """How anchoring stands now."""
    rows = await connection.fetch(
        "SELECT a.anchor_id, a.chain_id, a.status, a.batch_count, "
        "(SELECT count(*) FROM anchor_transactions WHERE anchor_id = a.anchor_id) AS transactions, "
        "extract(epoch FROM clock_timestamp() - a.created_at)::float8 AS age_s, "
        "coalesce(a.tx_hash, t.tx_hash) AS tx_hash, "
        "t.max_fee_per_gas::bigint AS max_fee_per_gas, "
        "extract(epoch FROM clock_timestamp() - t.broadcast_at)::float8 AS sent_age_s, t.error, "
        "a.block_number, h.block_number AS head_block, a.gas_used, count(*) OVER () AS open_count "
        "FROM anchors a LEFT JOIN chain_heads h USING (chain_id) LEFT JOIN LATERAL "
        "(SELECT * FROM anchor_transactions WHERE anchor_id = a.anchor_id "
        "ORDER BY signed_at DESC, max_fee_per_gas DESC LIMIT 1) t ON true "
        "WHERE a.status <> 'final' ORDER BY a.nonce LIMIT $1",
        OPEN_SHOWN,
    )
    last = await connection.fetchrow(
        "SELECT anchor_id, batch_count, tx_hash, block_number, gas_used, final_at FROM anchors "
        "WHERE status = 'final' ORDER BY anchor_id DESC LIMIT 1"
    )
    return Anchoring(
        waiting=await waiting(connection),
        open_count=rows[0]["open_count"] if rows else 0,
        open=tuple(msgspec.convert(dict(row), OpenAnchor) for row in rows),
        last_final=None if last is None else FinalAnchor(**last),
    )
