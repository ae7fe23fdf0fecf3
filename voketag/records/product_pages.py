"""What is stored of one product, for those who look into it: its batch and factory, its scans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from voketag import identifiers
from voketag.batches.listing import Status
from voketag.batches.making import product_of_serial
from voketag.events import Verdict
from voketag.records.database import Connection

FOUND = """
    SELECT p.product_id, p.serial, batch_id, b.sku, b.name, b.status, b.manufactured_at,
           b.token_key_id, b.recalled_at, b.recall_reason, factory_id, f.name AS factory_name
    FROM products p JOIN batches b USING (batch_id) JOIN factories f USING (factory_id)
    WHERE p.product_id = $1
"""
# The newest first, from the scan that follows the one with this time and id. All scans of the
# product are read by its index, and sorted: a product has few.
SCANS = """
    SELECT scan_id, scanned_at, verdict, risk_score, risk_reasons, country, fingerprint_hash
    FROM scan_events
    WHERE product_id = $1 AND scanned_at <= $3 AND (scanned_at, scan_id) < ($3, $4)
    ORDER BY scanned_at DESC, scan_id DESC LIMIT $2
"""
_GIVEN_SERIAL = """
    SELECT s.position FROM batches b
    JOIN batch_serials s ON s.factory_id = b.factory_id AND s.sku = b.sku AND s.serial = $2
    WHERE b.batch_id = $1 AND s.batch_id = $1
"""
_LAST_TIME = identifiers.time_of_ms(identifiers.LAST_MS)
_LAST_ID = UUID(int=(1 << 128) - 1)


@dataclass(frozen=True, slots=True)
class FoundProduct:
    """A stored product with its batch and factory."""

    product_id: UUID
    serial: str
    batch_id: UUID
    sku: str
    name: str
    status: Status
    manufactured_at: datetime | None
    token_key_id: int
    recalled_at: datetime | None
    recall_reason: str | None
    factory_id: UUID
    factory_name: str


@dataclass(frozen=True, slots=True)
class ProductScan:
    """A stored scan of a product; `risk_reasons` are as events.Reason."""

    scan_id: UUID
    scanned_at: datetime
    verdict: Verdict
    risk_score: int | None
    risk_reasons: Sequence[dict[str, object]] | None
    country: str | None
    fingerprint_hash: bytes


async def find(connection: Connection, product_id: UUID) -> FoundProduct | None:
    """A stored product, None where no batch holds it."""
    row = await connection.fetchrow(FOUND, product_id)
    return None if row is None else FoundProduct(**dict(row))


async def find_serial(connection: Connection, batch_id: UUID, serial: str) -> FoundProduct | None:
    """The product of a batch with this serial, None where it has none.

    No index of all serials is needed: one that an ERP gave is found by the key that keeps it from
    being used twice, and a derived one is a part of the product's id.
    """
    position = await connection.fetchval(_GIVEN_SERIAL, batch_id, serial)
    if position is not None:
        return await find(connection, identifiers.product_id(batch_id, position))
    product_id = product_of_serial(batch_id, serial)
    found = None if product_id is None else await find(connection, product_id)
    return found if found is not None and found.serial == serial else None


async def scans(
    connection: Connection, product_id: UUID, *, limit: int, after: UUID | None = None
) -> list[ProductScan]:
    """Up to `limit` scans of a product, the newest first, from the one that follows `after`."""
    before = _LAST_TIME if after is None else identifiers.at_time(after)
    rows = await connection.fetch(SCANS, product_id, limit, before, after or _LAST_ID)
    return [ProductScan(**dict(row)) for row in rows]
