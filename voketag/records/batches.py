"""Batches: accepted, stored, listed, recalled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from voketag import identifiers
from voketag.batches.answers import Batch, BatchAnchor
from voketag.batches.listing import Status
from voketag.batches.submission import CheckedBatch
from voketag.records.database import Connection

VIEW = """
    SELECT b.batch_id, b.factory_id, b.sku, b.name, b.product_count, b.status, b.merkle_root,
           b.manufactured_at, b.destination_countries, b.attributes, b.created_at, b.stored_at,
           b.completed_at, b.recalled_at, b.recall_reason,
           r.batch_id IS NOT NULL AS queued, a.status AS anchor_status, a.tx_hash, a.block_number,
           a.block_hash, a.chain_id, a.contract, a.root
    FROM batches b LEFT JOIN anchor_roots r USING (batch_id) LEFT JOIN anchors a USING (anchor_id)
"""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a batch comes from: who sent it, under which Idempotency-Key, with which body."""

    factory_id: UUID
    idempotency_key: str | None
    request_hash: bytes  # SHA-256 of the raw body


@dataclass(frozen=True, slots=True)
class Known:
    """A batch that an Idempotency-Key stands for already."""

    batch_id: UUID
    product_count: int
    status: Status
    request_hash: bytes


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What the products of a batch are derived from, and how far the batch is."""

    batch_id: UUID
    factory_id: UUID
    sku: str
    product_count: int
    serials_given: bool
    manufactured_at: datetime | None
    token_key_id: int
    status: Status
    merkle_root: bytes | None
    stored_at: datetime | None


@dataclass(frozen=True, slots=True)
class Failed:
    """Whose batch failed, and when."""

    factory_id: UUID
    failed_at: datetime


_BLUEPRINT_COLUMNS = (
    "batch_id, factory_id, sku, product_count, serials_given, manufactured_at, token_key_id, "
    "status, merkle_root, stored_at"
)
_BLUEPRINT = f"SELECT {_BLUEPRINT_COLUMNS} FROM batches WHERE batch_id = $1"


# -------------------------------------------------------------------- accepting


async def insert(
    connection: Connection, batch_id: UUID, batch: CheckedBatch, origin: Origin, token_key_id: int
) -> bool:
    """Store a new batch as pending; False where its Idempotency-Key stands for another one.

    Waits for a transaction that is storing the same key at this moment. Its serials follow
    with `serials.add` in the same transaction.
    """
    row = await connection.fetchrow(
        "INSERT INTO batches (batch_id, factory_id, sku, name, product_count, serials_given, "
        "manufactured_at, destination_countries, attributes, token_key_id, idempotency_key, "
        "request_hash, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) "
        "ON CONFLICT (factory_id, idempotency_key) DO NOTHING RETURNING batch_id",
        batch_id,
        origin.factory_id,
        batch.sku,
        batch.name,
        batch.product_count,
        batch.serials is not None,
        batch.manufactured_at,
        batch.destination_countries,
        batch.attributes,
        token_key_id,
        origin.idempotency_key,
        origin.request_hash,
        identifiers.at_time(batch_id),
    )
    return row is not None


async def known(connection: Connection, factory_id: UUID, idempotency_key: str) -> Known | None:
    """The batch that this key of this factory stands for."""
    row = await connection.fetchrow(
        "SELECT batch_id, product_count, status, request_hash FROM batches "
        "WHERE factory_id = $1 AND idempotency_key = $2",
        factory_id,
        idempotency_key,
    )
    return None if row is None else Known(**row)


async def pending_since(connection: Connection, before: datetime, limit: int = 1000) -> list[UUID]:
    """Batches that were accepted before a time and are still pending, the oldest first.

    They may have been announced to the register group or not; once more does no harm.
    """
    rows = await connection.fetch(
        "SELECT batch_id FROM batches WHERE status = 'pending' AND created_at < $1 "
        "ORDER BY created_at LIMIT $2",
        before,
        limit,
    )
    return [row["batch_id"] for row in rows]


# -------------------------------------------------------------------- making the products


async def blueprint(connection: Connection, batch_id: UUID) -> Blueprint | None:
    """What a batch's products are derived from."""
    row = await connection.fetchrow(_BLUEPRINT, batch_id)
    return None if row is None else Blueprint(**row)


async def blueprint_locked(connection: Connection, batch_id: UUID) -> Blueprint | None:
    """The same, kept from anyone else until this transaction ends."""
    row = await connection.fetchrow(_BLUEPRINT + " FOR UPDATE", batch_id)
    return None if row is None else Blueprint(**row)


async def mark_processing(connection: Connection, batch_id: UUID, root: bytes) -> Blueprint:
    """Every product of the batch is stored."""
    row = await connection.fetchrow(
        "UPDATE batches SET status = 'processing', merkle_root = $2, error = NULL, "
        "stored_at = date_trunc('milliseconds', clock_timestamp()) "
        f"WHERE batch_id = $1 RETURNING {_BLUEPRINT_COLUMNS}",
        batch_id,
        root,
    )
    assert row is not None
    return Blueprint(**row)


async def mark_failed(connection: Connection, batch_id: UUID, error: str) -> Failed | None:
    """The batch's products cannot be made; None where they are, or there is no such batch."""
    row = await connection.fetchrow(
        "UPDATE batches SET status = 'failed', error = $2 "
        "WHERE batch_id = $1 AND status IN ('pending', 'failed') "
        "RETURNING factory_id, clock_timestamp() AS failed_at",
        batch_id,
        error,
    )
    return None if row is None else Failed(**row)


# -------------------------------------------------------------------- for the API


async def view(connection: Connection, factory_id: UUID | None, batch_id: UUID) -> Batch | None:
    """A batch of this factory (None: of any), None where it has no such batch."""
    row = await connection.fetchrow(
        VIEW + "WHERE b.batch_id = $1 AND ($2::uuid IS NULL OR b.factory_id = $2)",
        batch_id,
        factory_id,
    )
    return None if row is None else batch_of(row)


async def page(
    connection: Connection,
    factory_id: UUID,
    *,
    status: Status | None,
    created_after: datetime | None,
    after: UUID | None,
    limit: int,
) -> list[Batch]:
    """Up to `limit` batches of a factory, the newest first, from the one that follows `after`."""
    conditions, values = ["b.factory_id = $1"], [factory_id, limit]
    if status is not None:
        values.append(status)
        conditions.append(f"b.status = ${len(values)}")
    if created_after is not None:
        values.append(created_after)
        conditions.append(f"b.created_at > ${len(values)}")
    if after is not None:
        values += [identifiers.at_time(after), after]
        last = len(values)
        conditions.append(f"(b.created_at, b.batch_id) < (${last - 1}, ${last})")
    rows = await connection.fetch(
        f"{VIEW} WHERE {' AND '.join(conditions)} "
        "ORDER BY b.created_at DESC, b.batch_id DESC LIMIT $2",
        *values,
    )
    return [batch_of(row) for row in rows]


async def recall(
    connection: Connection, factory_id: UUID | None, batch_id: UUID, reason: str
) -> bool:
    """Recall a batch of this factory (None: of any); gives whether there is one that was not
    recalled before. The first time and reason are kept.
    """
    row = await connection.fetchrow(
        "UPDATE batches SET recall_reason = $3, "
        "recalled_at = date_trunc('milliseconds', clock_timestamp()) "
        "WHERE batch_id = $1 AND ($2::uuid IS NULL OR factory_id = $2) AND recalled_at IS NULL "
        "RETURNING batch_id",
        batch_id,
        factory_id,
        reason,
    )
    return row is not None


async def recalled(connection: Connection) -> list[UUID]:
    """Every recalled batch, for a Redis that has forgotten them."""
    rows = await connection.fetch("SELECT batch_id FROM batches WHERE recalled_at IS NOT NULL")
    return [row["batch_id"] for row in rows]


def batch_of(row: asyncpg.Record) -> Batch:
    """The batch of a row of VIEW."""
    return Batch(
        batch_id=row["batch_id"],
        factory_id=row["factory_id"],
        sku=row["sku"],
        name=row["name"],
        product_count=row["product_count"],
        status=row["status"],
        merkle_root=_hex(row["merkle_root"]),
        anchor=_anchor(row) if row["queued"] else None,
        manufactured_at=row["manufactured_at"],
        destination_countries=tuple(row["destination_countries"]),
        attributes=row["attributes"],
        created_at=row["created_at"],
        stored_at=row["stored_at"],
        completed_at=row["completed_at"],
        recalled_at=row["recalled_at"],
        recall_reason=row["recall_reason"],
    )


def _anchor(row: asyncpg.Record) -> BatchAnchor:
    """A root without an anchor yet waits in the queue as well."""
    return BatchAnchor(
        status=row["anchor_status"] or "queued",
        tx_hash=_hex(row["tx_hash"]),
        block_number=row["block_number"],
        block_hash=_hex(row["block_hash"]),
        chain_id=row["chain_id"],
        contract=_hex(row["contract"]),
        root=_hex(row["root"]),
    )


def _hex(value: bytes | None) -> str | None:
    return None if value is None else "0x" + value.hex()
