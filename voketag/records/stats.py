"""Statistics for people: the last days, and what products are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from voketag.administration import Day
from voketag.records.database import Connection

RECOUNT_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Named:
    """A product as people know it."""

    product_id: UUID
    sku: str
    name: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A count of one UTC day and factory (the nil UUID: of unknown products) that is not true."""

    day: date
    factory_id: UUID
    count: str
    kept: int
    counted: int


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
            AND ($3::uuid IS NULL OR factory_id = $3)
    ) AS kept ON kept.day = days.day
    GROUP BY days.day ORDER BY days.day DESC
"""

COUNTS = (
    "scans",
    "unique_products",
    "risk_score_sum",
    "authentic",
    "suspicious",
    "high_risk",
    "recalled",
    "not_recognised",
)
# Every row of scan_events is read, and every day and factory with a difference is given.
DIFFERENCES = f"""
    WITH counted AS (
        SELECT (scanned_at AT TIME ZONE 'UTC')::date AS day,
               coalesce(factory_id, '00000000-0000-0000-0000-000000000000') AS factory_id,
               count(*) AS scans,
               count(DISTINCT product_id) AS unique_products,
               coalesce(sum(risk_score), 0)::bigint AS risk_score_sum,
               count(*) FILTER (WHERE verdict = 'authentic') AS authentic,
               count(*) FILTER (WHERE verdict = 'suspicious') AS suspicious,
               count(*) FILTER (WHERE verdict = 'high_risk') AS high_risk,
               count(*) FILTER (WHERE verdict = 'recalled') AS recalled,
               count(*) FILTER (WHERE verdict = 'not_recognised') AS not_recognised
        FROM scan_events GROUP BY 1, 2
    )
    SELECT day, factory_id, ARRAY[{", ".join(f"coalesce(k.{name}, 0)" for name in COUNTS)}] AS kept,
           ARRAY[{", ".join(f"coalesce(c.{name}, 0)" for name in COUNTS)}] AS counted
    FROM scan_stats_daily k FULL JOIN counted c USING (day, factory_id)
    WHERE day >= $1 AND ({" OR ".join(f"k.{name} IS DISTINCT FROM c.{name}" for name in COUNTS)})
    ORDER BY day, factory_id
"""

NAMES = """
    SELECT product_id, sku, name FROM products JOIN batches USING (batch_id)
    WHERE product_id = ANY($1)
"""


async def daily(
    connection: Connection, last: date, days: int, factory_id: UUID | None = None
) -> list[Day]:
    """The `days` UTC days up to and with `last`, the newest first; those without scans too. Of one
    factory's products where one is given, else of all scans.
    """
    rows = await connection.fetch(DAYS, last, days, factory_id)
    return [Day(**dict(row)) for row in rows]


async def differences(connection: Connection, since: date = date.min) -> list[Difference]:
    """Where the daily statistics from `since` on are not what a recount of the stored scans gives.

    One statement, so that both sides are of one instant. Days whose rows were dropped by age have
    nothing left to be counted: `since` has to be a later one.

    Every count must be equal at any time, whatever was replayed. `unique_products` is the sum of
    what the score group said of each scan when it had the product's history before it; it equals
    the recount for as long as Redis has kept the histories (see decision 5).
    """
    rows = await connection.fetch(DIFFERENCES, since, timeout=RECOUNT_TIMEOUT_S)
    return [
        Difference(row["day"], row["factory_id"], name, kept, counted)
        for row in rows
        for name, kept, counted in zip(COUNTS, row["kept"], row["counted"], strict=True)
        if kept != counted
    ]


async def named(connection: Connection, product_ids: Sequence[UUID]) -> dict[UUID, Named]:
    """SKU and name of those of these products that are stored."""
    rows = await connection.fetch(NAMES, product_ids)
    return {row["product_id"]: Named(**dict(row)) for row in rows}
