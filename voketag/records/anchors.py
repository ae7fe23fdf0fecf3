"""Anchors: the batch roots that wait for one, and the transactions signed for them.

What the chain says of them afterwards is kept by `anchor_blocks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import asyncpg
import msgspec

from voketag.records.database import Connection
from voketag.records.locks import Lock

Status = Literal["queued", "submitted", "included", "final", "orphaned"]
HASH_BYTES = 32


class AnchorRecord(msgspec.Struct, frozen=True):
    """A batch's anchor as the API shows it. `path` leads from the batch root to `root`.

    While the batch root waits, nothing but `status` ("queued") is known. The transaction and its
    block are known from "included" on.
    """

    status: Status
    chain_id: int | None = None
    contract: bytes | None = None
    root: bytes | None = None
    path: tuple[bytes, ...] = ()
    tx_hash: bytes | None = None
    block_number: int | None = None
    block_hash: bytes | None = None
    anchored_at: datetime | None = None


class Waiting(msgspec.Struct, frozen=True):
    """Batch roots without an anchor: how many, and for how long the oldest has waited."""

    count: int
    age_s: float


class Transaction(msgspec.Struct, frozen=True):
    """A signed transaction; ages in seconds by the database's clock, fees in wei."""

    tx_hash: bytes
    raw: bytes
    cap: int
    tip: int
    signed_age_s: float
    sent_age_s: float | None
    error: str | None


class Anchor(msgspec.Struct, frozen=True):
    """An anchor that is not final, with every transaction ever signed for it, oldest first."""

    anchor_id: UUID
    contract: bytes
    sender: bytes
    nonce: int
    root: bytes
    status: Status
    block_hash: bytes | None = None
    transactions: tuple[Transaction, ...] = ()


async def try_lock(connection: Connection) -> bool:
    """Become the one writer until this transaction ends; False where another process is."""
    held: bool = await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", Lock.ANCHORS)
    return held


# -------------------------------------------------------------------- batch roots


async def store_roots(connection: Connection, roots: Sequence[tuple[UUID, bytes]]) -> set[UUID]:
    """Queue batch roots; those that are queued already stay as they are.

    Gives the batches that cannot be queued: unknown ones, or ones whose root stands for another
    batch or was queued with another value.
    """
    batch_ids = [batch_id for batch_id, _ in roots]
    await connection.execute(
        "INSERT INTO anchor_roots (batch_id, root) "
        "SELECT given.batch_id, given.root FROM unnest($1::uuid[], $2::bytea[]) "
        "AS given (batch_id, root) JOIN batches USING (batch_id) ON CONFLICT DO NOTHING",
        batch_ids,
        [root for _, root in roots],
    )
    rows = await connection.fetch(
        "SELECT batch_id, root FROM anchor_roots WHERE batch_id = ANY($1::uuid[])", batch_ids
    )
    stored = {(row["batch_id"], row["root"]) for row in rows}
    return {batch_id for batch_id, root in roots if (batch_id, root) not in stored}


async def waiting(connection: Connection) -> Waiting:
    """How many batch roots wait, and since when."""
    row = await connection.fetchrow(
        "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(queued_at)), 0) "
        "FROM anchor_roots WHERE anchor_id IS NULL"
    )
    assert row is not None
    return Waiting(row[0], float(row[1]))


async def waiting_roots(connection: Connection, limit: int) -> list[tuple[UUID, bytes]]:
    """The `limit` batch roots that have waited longest."""
    rows = await connection.fetch(
        "SELECT batch_id, root FROM anchor_roots WHERE anchor_id IS NULL "
        "ORDER BY queued_at, batch_id LIMIT $1",
        limit,
    )
    return [(row["batch_id"], row["root"]) for row in rows]


async def assign_roots(
    connection: Connection, anchor_id: UUID, paths: Sequence[tuple[UUID, bytes]]
) -> int:
    """Give waiting batch roots to an anchor, with their paths; gives how many were still free."""
    rows = await connection.fetch(
        "UPDATE anchor_roots SET anchor_id = $1, path = given.path "
        "FROM unnest($2::uuid[], $3::bytea[]) AS given (batch_id, path) "
        "WHERE anchor_roots.batch_id = given.batch_id AND anchor_id IS NULL RETURNING 1",
        anchor_id,
        [batch_id for batch_id, _ in paths],
        [path for _, path in paths],
    )
    return len(rows)


# -------------------------------------------------------------------- signing


async def next_nonce(
    connection: Connection, chain_id: int, sender: bytes, used_on_chain: int
) -> int:
    """The first nonce that neither this table nor the chain has used."""
    nonce: int = await connection.fetchval(
        "SELECT greatest(coalesce(max(nonce) + 1, 0), $3::bigint) FROM anchors "
        "WHERE chain_id = $1 AND sender = $2",
        chain_id,
        sender,
        used_on_chain,
    )
    return nonce


async def insert_anchor(
    connection: Connection, anchor: Anchor, chain_id: int, batch_count: int
) -> None:
    """Store a new anchor; its transaction and its roots follow in the same transaction."""
    await connection.execute(
        "INSERT INTO anchors (anchor_id, chain_id, contract, sender, nonce, root, batch_count) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)",
        anchor.anchor_id,
        chain_id,
        anchor.contract,
        anchor.sender,
        anchor.nonce,
        anchor.root,
        batch_count,
    )


async def set_nonce(connection: Connection, anchor_id: UUID, nonce: int) -> None:
    """Give an anchor another nonce, its own having been used up by something else."""
    await connection.execute(
        "UPDATE anchors SET nonce = $2, status = 'queued' WHERE anchor_id = $1", anchor_id, nonce
    )


async def insert_transaction(
    connection: Connection, anchor_id: UUID, *, tx_hash: bytes, raw: bytes, cap: int, tip: int
) -> None:
    """Store a signed transaction before anyone sees it; a second time changes nothing."""
    await connection.execute(
        "INSERT INTO anchor_transactions "
        "(tx_hash, anchor_id, raw, max_fee_per_gas, max_priority_fee_per_gas, signed_at) "
        "VALUES ($1, $2, $3, $4, $5, clock_timestamp()) ON CONFLICT DO NOTHING",
        tx_hash,
        anchor_id,
        raw,
        cap,
        tip,
    )


async def record_sent(
    connection: Connection, anchor_id: UUID, tx_hash: bytes, *, taken: bool, error: str | None
) -> None:
    """Note that a transaction was handed to a node, and whether the node took it."""
    await connection.execute(
        "UPDATE anchor_transactions SET broadcast_at = clock_timestamp(), error = $2 "
        "WHERE tx_hash = $1",
        tx_hash,
        error,
    )
    if taken:
        await connection.execute(
            "UPDATE anchors SET status = 'submitted' "
            "WHERE anchor_id = $1 AND status IN ('queued', 'orphaned')",
            anchor_id,
        )


async def open_anchors(connection: Connection, chain_id: int) -> list[Anchor]:
    """Every anchor of a chain that is not final, by nonce."""
    rows = await connection.fetch(
        "SELECT anchor_id, contract, sender, nonce, root, status, block_hash "
        "FROM anchors WHERE chain_id = $1 AND status <> 'final' ORDER BY nonce",
        chain_id,
    )
    signed = await connection.fetch(
        "SELECT anchor_id, tx_hash, raw, max_fee_per_gas, max_priority_fee_per_gas, error, "
        "extract(epoch FROM clock_timestamp() - signed_at)::float8 AS signed_age_s, "
        "extract(epoch FROM clock_timestamp() - broadcast_at)::float8 AS sent_age_s "
        "FROM anchor_transactions WHERE anchor_id = ANY($1::uuid[]) "
        "ORDER BY signed_at, max_fee_per_gas",
        [row["anchor_id"] for row in rows],
    )
    transactions: dict[UUID, list[Transaction]] = {row["anchor_id"]: [] for row in rows}
    for row in signed:
        transactions[row["anchor_id"]].append(_transaction(row))
    return [Anchor(**row, transactions=tuple(transactions[row["anchor_id"]])) for row in rows]


async def in_flight(connection: Connection, chain_id: int, sender: bytes) -> int:
    """How many anchors of a sender are in no block yet."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM anchors WHERE chain_id = $1 AND sender = $2 "
        "AND status IN ('queued', 'submitted', 'orphaned')",
        chain_id,
        sender,
    )
    return count


async def elsewhere(connection: Connection, chain_id: int) -> list[tuple[int, int, int]]:
    """The other chains that anchors are on: each one's id, how many, and how many not final."""
    rows = await connection.fetch(
        "SELECT chain_id, count(*), count(*) FILTER (WHERE status <> 'final') FROM anchors "
        "WHERE chain_id <> $1 GROUP BY chain_id ORDER BY chain_id",
        chain_id,
    )
    return [(row[0], row[1], row[2]) for row in rows]


async def nonces_from(connection: Connection, chain_id: int, sender: bytes, first: int) -> set[int]:
    """The nonces of `sender` from `first` on that belong to anchors, final ones too."""
    rows = await connection.fetch(
        "SELECT nonce FROM anchors WHERE chain_id = $1 AND sender = $2 AND nonce >= $3",
        chain_id,
        sender,
        first,
    )
    return {row["nonce"] for row in rows}


# -------------------------------------------------------------------- for the API


async def anchor_of_batch(connection: Connection, batch_id: UUID) -> AnchorRecord | None:
    """The anchor of a batch, None before its root is queued."""
    row = await connection.fetchrow(
        "SELECT coalesce(a.status, 'queued') AS status, a.chain_id, a.contract, a.root, r.path, "
        "a.tx_hash, a.block_number, a.block_hash, a.anchored_at "
        "FROM anchor_roots r LEFT JOIN anchors a USING (anchor_id) WHERE r.batch_id = $1",
        batch_id,
    )
    if row is None:
        return None
    path = row["path"] or b""
    nodes = tuple(path[at : at + HASH_BYTES] for at in range(0, len(path), HASH_BYTES))
    return AnchorRecord(**{**row, "path": nodes})


def _transaction(row: asyncpg.Record) -> Transaction:
    return Transaction(
        tx_hash=row["tx_hash"],
        raw=row["raw"],
        cap=int(row["max_fee_per_gas"]),
        tip=int(row["max_priority_fee_per_gas"]),
        signed_age_s=row["signed_age_s"],
        sent_age_s=row["sent_age_s"],
        error=row["error"],
    )
