"""How long the questions take that people and programs ask of Postgres, in the median."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import asyncpg

from benchmarks.growth import proven
from benchmarks.growth.filling import Layout, some_products
from benchmarks.growth.proven import Proven
from voketag.ops.api_figures import DAYS, TOP_PRODUCTS
from voketag.records import known_products, scans, stats
from voketag.records.database import Connection, Database

TIMES = 50
SCANS_KNOWN = 200
PRODUCTS_AT_ONCE = 32
_SOME_SCANS = """
    SELECT found.scan_id FROM unnest($1::timestamptz[]) AS moment CROSS JOIN LATERAL (
        SELECT scan_id FROM scan_events WHERE scanned_at >= moment ORDER BY scanned_at LIMIT 1
    ) AS found
"""

Question = Callable[[Connection], Awaitable[object]]


@dataclass(frozen=True)
class Known:
    """What is asked about: scans (none before there are any), products, and the last day."""

    scan_ids: Sequence[UUID]
    product_ids: Sequence[UUID]
    proven: Proven
    today: date


async def known(url: str, plan: Layout, stored: int, proof: Proven) -> Known:
    """Things to ask about, of a table that holds the first `stored` scans."""
    chosen = random.Random(stored)
    moments = [
        plan.first_at + (plan.last_at - plan.first_at) * (chosen.random() * stored / plan.scans)
        for _ in range(SCANS_KNOWN if stored else 0)
    ]
    numbers = [chosen.randrange(plan.products) for _ in range(PRODUCTS_AT_ONCE * TIMES)]
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(_SOME_SCANS, moments)
        product_ids = await some_products(connection, numbers)
    finally:
        await connection.close()
    return Known([row["scan_id"] for row in rows], product_ids, proof, plan.last_at.date())


async def ask(database: Database, about: Known) -> dict[str, float]:
    """The median milliseconds of each question, over a connection as the processes have them."""
    chosen = random.Random(1)

    async def statistics_(connection: Connection) -> None:
        await stats.daily(connection, about.today, DAYS)
        await stats.named(connection, chosen.sample(about.product_ids, TOP_PRODUCTS))

    async def proof(connection: Connection) -> None:
        await proven.look_up(connection, about.proven, chosen.randrange(proven.PRODUCTS))

    async def forgotten(connection: Connection) -> None:
        wanted = chosen.sample(about.product_ids, PRODUCTS_AT_ONCE)
        await known_products.known_products(connection, wanted)

    async def scan(connection: Connection) -> None:
        if await scans.stored_scan(connection, chosen.choice(about.scan_ids)) is None:
            raise RuntimeError("a stored scan is not found")

    questions: dict[str, Question] = {
        "statistics of 30 days": statistics_,
        "what a proof reads": proof,
        f"{PRODUCTS_AT_ONCE} products that Redis forgot, with their histories": forgotten,
    }
    if about.scan_ids:
        questions["a stored scan"] = scan
    return {what: await _median_ms(database, question) for what, question in questions.items()}


async def _median_ms(database: Database, question: Question) -> float:
    took_s = []
    for _ in range(TIMES):
        async with database.connection() as connection:
            began_s = time.perf_counter()
            await question(connection)
            took_s.append(time.perf_counter() - began_s)
    return 1000 * statistics.median(took_s)
