"""Products: stored a chunk at a time, read back by primary key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from voketag.records.binary_copy import copy_rows, field, head
from voketag.records.database import Connection

_COLUMNS = ("product_id", "batch_id", "serial")


@dataclass(frozen=True, slots=True)
class ProvenProduct:
    """A stored product with what its proof says of it."""

    product_id: UUID
    serial: str
    batch_id: UUID
    factory_id: UUID
    sku: str
    manufactured_at: datetime | None
    product_count: int
    merkle_root: bytes


async def add_products(
    connection: Connection, batch_id: UUID, product_ids: Sequence[bytes], serials: Sequence[str]
) -> None:
    """Store products of one batch: the 16 bytes of their ids, and their serials."""
    start, batch = head(len(_COLUMNS)), field(batch_id.bytes)
    rows = [
        b"".join((start, field(product_id), batch, field(serial.encode())))
        for product_id, serial in zip(product_ids, serials, strict=True)
    ]
    await copy_rows(connection, "products", _COLUMNS, rows)


async def serials_of(connection: Connection, product_ids: Sequence[UUID]) -> dict[UUID, str]:
    """The serials of products, by id."""
    rows = await connection.fetch(
        "SELECT product_id, serial FROM products WHERE product_id = ANY($1::uuid[])", product_ids
    )
    return {row["product_id"]: row["serial"] for row in rows}


async def proven_product(
    connection: Connection, factory_id: UUID | None, product_id: UUID
) -> ProvenProduct | None:
    """A product of this factory (None: of any) with its batch; None where there is no such one."""
    row = await connection.fetchrow(
        "SELECT p.product_id, p.serial, b.batch_id, b.factory_id, b.sku, b.manufactured_at, "
        "b.product_count, b.merkle_root FROM products p JOIN batches b USING (batch_id) "
        "WHERE p.product_id = $1 AND ($2::uuid IS NULL OR b.factory_id = $2) "
        "AND b.merkle_root IS NOT NULL",
        product_id,
        factory_id,
    )
    return None if row is None else ProvenProduct(**row)
