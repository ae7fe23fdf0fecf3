"""Scans and products by the million, made by Postgres itself.

The scans lie in two whole months, evenly, in the order of their ids, up to the 28th of the last
one; each is of any of the products, which were made in the month before. So the index of scans by
product is written to all over, which is the worst that ingestion can do to it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from voketag import identifiers
from voketag.records import partitions
from voketag.records.database import Database

SCANS_OF_A_PRODUCT = 10
FACTORIES = 100
_MONTHS = 3  # behind the products' month: the two of the scans, and this one
_AT_ONCE = 2  # connections
_CHUNK_ROWS = 100_000

# Parameters: the first number and the last but one.
_PRODUCTS = """
    WITH made AS (
        SELECT filled_batch_id(number / 1000) AS batch_id, filled_product_id(number) AS product_id,
               number
        FROM generate_series($1::bigint, $2::bigint - 1) AS number
    ), batch AS (
        INSERT INTO batches (batch_id, factory_id, sku, name, product_count, serials_given,
                             token_key_id, status, merkle_root, created_at, stored_at)
        SELECT DISTINCT batch_id, filled_factory_id(number / 1000), 'SHOE-42', 'Running shoe', 1000,
               false, 1, 'processing', decode(md5(batch_id::text) || md5('root'), 'hex'), now(),
               now()
        FROM made ON CONFLICT DO NOTHING
    )
    INSERT INTO products (product_id, batch_id, serial)
    SELECT product_id, batch_id, upper(substr(md5(number::text), 1, 15)) FROM made
"""
# And: the time of the first scan, the milliseconds from one to the next, how many products.
_SCANS = """
    INSERT INTO scan_events (scan_id, product_id, batch_id, factory_id, scanned_at, received_at,
                             verdict, risk_score, risk_reasons, country, ip_hash,
                             fingerprint_hash, history)
    SELECT filled_uuid7(at_ms, hash), filled_product_id(product),
           filled_batch_id(product / 1000), filled_factory_id(product / 1000),
           to_timestamp(at_ms / 1000.0), to_timestamp(at_ms / 1000.0) + interval '3 milliseconds',
           CASE WHEN number % 20 = 0 THEN 'suspicious' ELSE 'authentic' END,
           CASE WHEN number % 20 = 0 THEN 50 ELSE 0 END,
           CASE WHEN number % 20 = 0 THEN
               '[{"code":"many_countries","points":40,"detail":"Scanned in 4 countries."}]'::jsonb
           ELSE '[]'::jsonb END,
           (ARRAY['BR', 'PT', 'US', 'DE', 'JP', 'ZA'])[1 + number % 6],
           decode(hash, 'hex'), decode(reverse(hash), 'hex'),
           '{"scans":3,"first_scanned_at_ms":1767225600000,"countries":["BR","PT"]}'::jsonb
    FROM (
        SELECT number, md5(number::text) AS hash,
               ($3::float8 + $4::float8 * number)::bigint AS at_ms,
               (hashint8(number)::bigint & 2147483647) % $5::bigint AS product
        FROM generate_series($1::bigint, $2::bigint - 1) AS number
    ) AS made
"""
_DAYS = """
    INSERT INTO scan_stats_daily (day, factory_id, scans, unique_products, authentic, suspicious)
    SELECT day, filled_factory_id(factory), 1000, 900, 950, 50
    FROM generate_series($1::date, $2::date, '1 day') AS day,
         generate_series(0, $3::bigint - 1) AS factory
    ON CONFLICT DO NOTHING
"""
_FACTORIES = """
    INSERT INTO factories (factory_id, name, email)
    SELECT filled_factory_id(number), 'Factory ' || number, number || '@example.com'
    FROM generate_series(0, $1::bigint - 1) AS number
"""
_FUNCTIONS = """
    CREATE FUNCTION filled_uuid7(at_ms bigint, bits text) RETURNS uuid LANGUAGE sql IMMUTABLE
    AS $$ SELECT (lpad(to_hex(at_ms), 12, '0') || '7' || substr(bits, 1, 3) || '8'
                  || substr(bits, 4, 15))::uuid $$;
    CREATE FUNCTION filled_batch_id(batch bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
    AS $$ SELECT filled_uuid7({made_ms} + 1000 * batch, md5('batch ' || batch)) $$;
    CREATE FUNCTION filled_product_id(number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
    AS $$ SELECT filled_uuid7({made_ms} + 1000 * (number / 1000), md5('product ' || number)) $$;
    CREATE FUNCTION filled_factory_id(number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
    AS $$ SELECT ('00000000-0000-0000-0000-' || lpad(to_hex(1 + number % {factories}), 12, '0')
                 )::uuid $$;
"""


@dataclass(frozen=True, slots=True)
class Layout:
    """When the products were made, when the first scan was and when the last one is to be."""

    made_at: datetime
    first_at: datetime
    last_at: datetime
    scans: int

    @property
    def products(self) -> int:
        """How many products there are."""
        return max(1000, self.scans // SCANS_OF_A_PRODUCT)

    @property
    def step_ms(self) -> float:
        """The milliseconds from one scan to the next."""
        return (self.last_at - self.first_at) / timedelta(milliseconds=1) / self.scans


def layout(scans: int, now: datetime) -> Layout:
    """How so many scans lie in the months before `now`."""
    months = [_month_before(now, back) for back in (3, 2, 1)]
    return Layout(months[0], months[1], months[2] + timedelta(days=27), scans)


def _month_before(now: datetime, back: int) -> datetime:
    month = now.year * 12 + now.month - 1 - back
    return datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)


async def prepare(url: str, plan: Layout) -> None:
    """Partitions, and the functions that the rest is made with."""
    database = await Database.open(url)
    try:
        async with database.transaction() as connection:
            await partitions.ensure(connection, plan.made_at, _MONTHS)
    finally:
        await database.close()
    made_ms = identifiers.ms_of_time(plan.made_at)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_FUNCTIONS.format(made_ms=made_ms, factories=FACTORIES))
    finally:
        await connection.close()


async def fill_but_scans(url: str, plan: Layout) -> None:
    """Factories, batches, products, and statistics of every day and factory."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_FACTORIES, FACTORIES)
        await connection.execute(_DAYS, plan.first_at.date(), plan.last_at.date(), FACTORIES)
    finally:
        await connection.close()
    await _in_chunks(url, _PRODUCTS, 0, plan.products)


async def fill(url: str, plan: Layout, start: int, stop: int) -> None:
    """Scans number `start` (from 0) up to `stop`."""
    first_ms = float(identifiers.ms_of_time(plan.first_at))
    await _in_chunks(url, _SCANS, start, stop, first_ms, plan.step_ms, plan.products)


async def _in_chunks(
    url: str, statement: str, start: int, stop: int, *parameters: float | int
) -> None:
    """Carry out a statement for all these numbers, over a few connections at once, in order but
    for those.
    """
    firsts = iter(range(start, stop, _CHUNK_ROWS))

    async def carry_out() -> None:
        connection = await asyncpg.connect(url)
        try:
            for first in firsts:
                last = min(first + _CHUNK_ROWS, stop)
                await connection.execute(statement, first, last, *parameters)
        finally:
            await connection.close()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(_AT_ONCE):
            tasks.create_task(carry_out())


async def settle(url: str) -> None:
    """What autovacuum and the checkpointer would have done in the time that filling left out."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


async def some_products(connection: asyncpg.Connection, numbers: list[int]) -> list[UUID]:
    """The ids of products by their numbers."""
    rows = await connection.fetch(
        "SELECT filled_product_id(number) AS id FROM unnest($1::bigint[]) AS number", numbers
    )
    return [row["id"] for row in rows]
