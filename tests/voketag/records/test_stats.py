"""The daily statistics against a recount: equal whatever comes twice, late or out of order."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from consumers.score import score_in_order
from tests.scored_scans import scored
from voketag import events, identifiers
from voketag.acceptance import Accepted
from voketag.events import Product, Scan, ScoredScan, Signals
from voketag.records import scans, stats
from voketag.records.database import Database
from voketag.records.stats import Difference
from voketag.risk.history import EMPTY, History, sighting

DAY_MS = 86_400_000
NOW_MS = time.time_ns() // 1_000_000


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(database_url)
    yield opened
    await opened.close()


async def store(database: Database, items: list[ScoredScan]) -> int:
    async with database.transaction() as connection:
        return await scans.store(connection, items)


async def differences(database: Database) -> list[Difference]:
    async with database.connection() as connection:
        return await stats.differences(connection)


def as_scored(scan: Scan, product: Product, history: History) -> ScoredScan:
    """What the score group makes of a scan, given the product's history before it."""
    accepted = Accepted(scan, product, history, Signals())
    commands = score_in_order(0, [accepted], {product.product_id: history})
    (fields,) = [
        {str(name): value for name, value in zip(command[3::2], command[4::2], strict=True)}
        for command in commands
        if command[:2] == ("XADD", events.scored(0))
    ]
    return events.decode(fields, ScoredScan)  # type: ignore[arg-type]


def a_week_of_scans(count: int) -> list[ScoredScan]:
    """Scans of a few products in no order of time, as offline phones send them: each up to 7 days
    old when it is scored.
    """
    chance = random.Random(7)
    batch_id = identifiers.new_id()
    products = [
        Product(identifiers.product_id(batch_id, number), batch_id, UUID(int=5), "S", "N", "1")
        for number in range(4)
    ]
    history = dict.fromkeys(products, EMPTY)
    items = []
    for number in range(count):
        at_ms = NOW_MS - chance.randrange(7 * DAY_MS)
        scan_id = UUID(int=at_ms << 80 | identifiers.new_id().int & ((1 << 80) - 1))
        product = chance.choice(products)
        scan = Scan(scan_id, product.product_id, NOW_MS, f"{number:032x}", f"{number % 9:032x}")
        items.append(as_scored(scan, product, history[product]))
        history[product] = history[product].after(sighting(scan))
    return items


async def test_f34_unique_products_of_a_day_are_those_of_its_rows(database: Database) -> None:
    """Late scans, each entry twice, batches in pieces that overlap."""
    items = a_week_of_scans(300)
    assert 4 < sum(item.first_of_day for item in items) <= 4 * 8
    for first in range(0, 300, 40):
        await store(database, items[max(first - 25, 0) : first + 40])
        assert await differences(database) == []
    assert await store(database, items[::-1]) == 0
    assert await differences(database) == []
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT sum(scans) FROM scan_stats_daily") == 300


@pytest.mark.parametrize("count", stats.COUNTS)
async def test_a_count_that_is_not_true_is_told(database: Database, count: str) -> None:
    await store(database, [scored(1)])
    async with database.connection() as connection:
        await connection.execute(f"UPDATE scan_stats_daily SET {count} = {count} + 1")
        kept = await connection.fetchrow("SELECT * FROM scan_stats_daily")
    assert kept is not None
    (found,) = await differences(database)
    assert (found.day, found.factory_id, found.count) == (kept["day"], kept["factory_id"], count)
    assert (found.kept, found.counted) == (kept[count], kept[count] - 1)


async def test_a_day_that_one_side_lacks_is_told(database: Database) -> None:
    await store(database, [scored(1, NOW_MS), scored(1, NOW_MS - 3 * DAY_MS)])
    today = datetime.fromtimestamp(NOW_MS / 1000, UTC).date()
    async with database.connection() as connection:
        await connection.execute("DELETE FROM scan_stats_daily WHERE day = $1", today)
        await connection.execute("DELETE FROM scan_events WHERE scanned_at < $1::date", today)
        since = await stats.differences(connection, today)
    found = await differences(database)
    assert {(one.day, one.kept, one.counted) for one in found if one.count == "scans"} == {
        (today - timedelta(days=3), 1, 0),
        (today, 0, 1),
    }
    assert {one.day for one in since} == {today}
