"""What a scan has to know of products that Redis has forgotten: many of them in one round trip each
for products, histories and reports, since planning a query that looks into every month costs more
than running it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import asyncpg
import msgspec

from voketag import identifiers
from voketag.events import Product
from voketag.identifiers import rfc3339
from voketag.records import reports
from voketag.records.database import Connection
from voketag.records.reports import Standing
from voketag.risk.history import DEVICE_CHARACTERS, EMPTY, History, Sighting

REBUILT_SCANS = 500


@dataclass(frozen=True, slots=True)
class KnownProduct:
    """A stored product with what its batch says of it, whether that is recalled, the product's
    history (None where it was never scanned), and what was reported of it.
    """

    product: Product
    recalled: bool
    history: History | None
    standing: Standing

    def unreported(self) -> KnownProduct:
        """The same, with nothing said of reports."""
        return replace(self, standing=Standing(self.product.product_id))


async def known_products(
    connection: Connection, product_ids: Sequence[UUID]
) -> dict[UUID, KnownProduct]:
    """Those of the products that a batch holds, and is stored."""
    found = await products_for_scans(connection, product_ids)
    if not found:
        return {}
    held = list(found)
    histories = await histories_of(connection, held)
    standings = await reports.standings_of(connection, held)
    return {
        product_id: KnownProduct(product, recalled, histories.get(product_id), standing)
        for (product_id, (product, recalled)), standing in zip(
            found.items(), standings, strict=True
        )
    }


async def products_for_scans(
    connection: Connection, product_ids: Sequence[UUID]
) -> dict[UUID, tuple[Product, bool]]:
    """Stored products, and whether the batch of each is recalled."""
    rows = await connection.fetch(
        """
        SELECT product_id, batch_id, factory_id, sku, name, serial, manufactured_at,
               destination_countries, recalled_at IS NOT NULL AS recalled
        FROM products JOIN batches USING (batch_id)
        WHERE product_id = ANY($1)
        """,
        product_ids,
    )
    return {row["product_id"]: (product_of(row), row["recalled"]) for row in rows}


def product_of(row: asyncpg.Record) -> Product:
    """The product of a row of `products` with its batch."""
    made = row["manufactured_at"]
    return Product(
        product_id=row["product_id"],
        batch_id=row["batch_id"],
        factory_id=row["factory_id"],
        sku=row["sku"],
        name=row["name"],
        serial=row["serial"],
        manufactured_at=None if made is None else rfc3339(made),
        destination_countries=tuple(row["destination_countries"]),
    )


async def histories_of(connection: Connection, product_ids: Sequence[UUID]) -> dict[UUID, History]:
    """Histories from the newest scans of each product. Exact locations are not stored, so they are
    not in them.
    """
    rows = await connection.fetch(
        """
        SELECT wanted.product_id, newest.*
        FROM unnest($1::uuid[]) AS wanted (product_id)
        CROSS JOIN LATERAL (
            SELECT scan_id, country, fingerprint_hash, count(*) OVER () AS scans,
                   min(scanned_at) OVER () AS first_at
            FROM scan_events WHERE product_id = wanted.product_id
            ORDER BY scanned_at DESC LIMIT $2
        ) AS newest
        """,
        product_ids,
        REBUILT_SCANS,
    )
    by_product: dict[UUID, list[asyncpg.Record]] = defaultdict(list)
    for row in rows:
        by_product[row["product_id"]].append(row)
    return {product_id: _history(newest) for product_id, newest in by_product.items()}


def _history(newest: Sequence[asyncpg.Record]) -> History:
    """The fold of these scans, the newest of which comes first."""
    history = EMPTY
    for row in reversed(newest):
        device = row["fingerprint_hash"].hex()[:DEVICE_CHARACTERS]
        history = history.after(Sighting(row["scan_id"], device, row["country"], None))
    first_at_ms = identifiers.ms_of_time(newest[0]["first_at"])
    return msgspec.structs.replace(history, scans=newest[0]["scans"], first_at_ms=first_at_ms)
