"""Statistics for people: the last days, and what products are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from voketag.records.database import Connection


@dataclass(frozen=True, slots=True)
class Day:
    """The stored scans of one UTC day, of all factories.

    `avg_risk_score` is over the scans of known products, None where there were none.
    """

    day: date
    scans: int
    unique_products: int
    avg_risk_score: float | None
    authentic: int
    suspicious: int
    high_risk: int
    recalled: int
    not_recognised: int


@dataclass(frozen=True, slots=True)
class Named:
    """A product as people know it."""

    product_id: UUID
    sku: str
    name: str


# Whole days by primary key, at most `days` times the number of factories.
DAYS = """
    SELECT days.day, coalesce(sum(scans), 0)::bigint AS scans,
           coalesce(sum(unique_products), 0)::bigint AS unique_products,
           round(sum(risk_score_sum) / nullif(sum(scans - not_recognised), 0), 2)::float8
               AS avg_risk_score,
           coalesce(sum(authentic), 0)::bigint AS authentic,
           coalesce(sum(suspicious), 0)::bigint AS suspicious,
           coalesce(sum(high_risk), 0)::bigint AS high_risk,
           coalesce(sum(recalled), 0)::bigint AS recalled,
           coalesce(sum(not_recognised), 0)::bigint AS not_recognised
    FROM (SELECT $1::date - step AS day FROM generate_series(0, $2::int - 1) AS step) AS days
    LEFT JOIN (
        SELECT * FROM scan_stats_daily WHERE day > $1::date - $2::int AND day <= $1::date
    ) AS kept ON kept.day = days.day
    GROUP BY days.day ORDER BY days.day DESC
"""

NAMES = """
    SELECT product_id, sku, name FROM products JOIN batches USING (batch_id)
    WHERE product_id = ANY($1)
"""


async def daily(connection: Connection, last: date, days: int) -> list[Day]:
    """The `days` UTC days up to and with `last`, the newest first; those without scans too."""
    return [Day(**dict(row)) for row in await connection.fetch(DAYS, last, days)]


async def named(connection: Connection, product_ids: Sequence[UUID]) -> dict[UUID, Named]:
    """SKU and name of those of these products that are stored."""
    rows = await connection.fetch(NAMES, product_ids)
    return {row["product_id"]: Named(**dict(row)) for row in rows}
