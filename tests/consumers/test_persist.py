"""persist: every scan stored once, statistics equal to a recount, whatever is replayed."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import msgspec
import pytest

from consumers import persist
from tests.factory_floor import running, settings_for, until
from tests.servers import Servers
from voketag import events, identifiers, process
from voketag.events import Assessment, HistorySummary, Product, Reason, Scan, ScoredScan
from voketag.process import Wires
from voketag.records import scans


@pytest.fixture
async def wires(redis_url: str, database_url: str) -> AsyncIterator[Wires]:
    settings = settings_for(redis_url, database_url, SHARDS="1")
    async with process.open_wires(settings, database=True) as opened:
        yield opened


def scored(number: int, at_ms: int | None = None) -> ScoredScan:
    """A scored scan; every fifth is of no known product."""
    now_ms = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    scan_id = UUID(int=(now_ms << 80) | (identifiers.new_id().int & ((1 << 80) - 1)))
    product = None
    assessment = Assessment("not_recognised")
    history = None
    if number % 5:
        factory_id = UUID(int=1 + number % 3)
        product = Product(identifiers.new_id(), identifiers.new_id(), factory_id, "S", "N", "1")
        reasons = (Reason("many_devices", 45, "Scanned by 6 different devices."),)
        assessment = Assessment("suspicious", 45, reasons)
        history = HistorySummary(3, now_ms, ("BR",))
    return ScoredScan(
        scan=Scan(scan_id, product.product_id if product else UUID(int=9), now_ms, "0a", "0b"),
        assessment=assessment,
        product=product,
        history=history,
        first_of_day=product is not None,
    )


async def publish(wires: Wires, items: Sequence[ScoredScan]) -> None:
    for item in items:
        await wires.streams.publish(events.scored(0), events.encode(item))


async def rows(wires: Wires) -> int:
    async with wires.database.connection() as connection:
        return int(await connection.fetchval("SELECT count(*) FROM scan_events"))


async def acknowledged(wires: Wires) -> bool:
    (group,) = await wires.streams.redis.xinfo_groups(events.scored(0))
    return bool(group["lag"] == 0 and group["pending"] == 0)


RECOUNT = """
SELECT (scanned_at AT TIME ZONE 'UTC')::date AS day,
       coalesce(factory_id, '00000000-0000-0000-0000-000000000000') AS factory_id,
       count(*) AS scans, count(DISTINCT product_id) AS unique_products,
       coalesce(sum(risk_score), 0)::bigint AS risk_score_sum,
       count(*) FILTER (WHERE verdict = 'authentic') AS authentic,
       count(*) FILTER (WHERE verdict = 'suspicious') AS suspicious,
       count(*) FILTER (WHERE verdict = 'high_risk') AS high_risk,
       count(*) FILTER (WHERE verdict = 'recalled') AS recalled,
       count(*) FILTER (WHERE verdict = 'not_recognised') AS not_recognised
FROM scan_events GROUP BY 1, 2 ORDER BY 1, 2
"""


async def statistics_equal_recount(wires: Wires) -> bool:
    async with wires.database.connection() as connection:
        kept = await connection.fetch("SELECT * FROM scan_stats_daily ORDER BY 1, 2")
        return [tuple(row) for row in kept] == [
            tuple(row) for row in await connection.fetch(RECOUNT)
        ]


async def test_F31_F34_replays_land_on_themselves(wires: Wires) -> None:
    """Everything twice, mixed and across a month's end: stored and counted once."""
    now_ms = time.time_ns() // 1_000_000
    items = [scored(n, now_ms - n % 7 * 86_400_000) for n in range(120)]
    replayed = items + items[:50]
    random.Random(3).shuffle(replayed)
    async with running(wires, persist.build(wires)):
        await publish(wires, replayed)

        async def done() -> bool:
            return await rows(wires) == len(items) and await acknowledged(wires)

        await until(done, "all stored")
        await publish(wires, items)

        async def again() -> bool:
            return await acknowledged(wires)

        await until(again, "the replay acknowledged")
    assert await rows(wires) == len(items)
    assert await statistics_equal_recount(wires)


async def test_a_replay_inside_one_batch_counts_once(wires: Wires) -> None:
    items = [scored(n) for n in range(10)]
    async with wires.database.transaction() as connection:
        assert await scans.store(connection, items + items[:4]) == 10
    async with wires.database.transaction() as connection:
        assert await scans.store(connection, items) == 0
    assert await rows(wires) == 10
    assert await statistics_equal_recount(wires)


async def test_F29_an_outage_of_postgres_buries_nothing(wires: Wires, servers: Servers) -> None:
    await servers.stop("postgres")
    await publish(wires, [scored(n) for n in range(20)])
    async with running(wires, persist.build(wires)):

        async def waiting() -> bool:
            (group,) = await wires.streams.redis.xinfo_groups(events.scored(0))
            return bool(group["pending"] == 20)

        async def grouped() -> bool:
            return bool(await wires.streams.redis.xinfo_groups(events.scored(0)))

        await until(grouped, "the group")
        await until(waiting, "the entries in hand")
        await servers.start("postgres")

        async def done() -> bool:
            return await rows(wires) == 20

        await until(done, "all stored once Postgres is back")
    assert await wires.streams.redis.exists(events.scored(0) + events.DEAD_SUFFIX) == 0
    assert await statistics_equal_recount(wires)


async def test_a_stored_scan_reads_back_whole(wires: Wires) -> None:
    item = scored(1)
    async with wires.database.transaction() as connection:
        await scans.store(connection, [item])
        row = await connection.fetchrow("SELECT * FROM scan_events")
        missing = await scans.stored_scan(connection, identifiers.new_id())
    assert missing is None
    assert row is not None
    assert row["scan_id"] == item.scan.scan_id
    assert row["scanned_at"] == identifiers.at_time(item.scan.scan_id)
    assert row["risk_reasons"] == [
        {"code": "many_devices", "points": 45, "detail": "Scanned by 6 different devices."}
    ]
    assert row["answered"] is None


async def test_a_rebuilt_history_knows_the_first_scan_of_all(
    wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is rebuilt from the newest scans; the first may have been long before them."""
    monkeypatch.setattr(scans, "REBUILT_SCANS", 2)
    now_ms = time.time_ns() // 1_000_000
    first, *later = [scored(1, now_ms + number) for number in range(4)]
    items = [first, *(msgspec.structs.replace(item, product=first.product) for item in later)]
    assert first.product is not None
    async with wires.database.transaction() as connection:
        await scans.store(connection, items)
        history = await scans.history_of(connection, first.product.product_id)
    assert history is not None
    assert history.scans == 4
    assert history.first_at_ms == now_ms


async def test_a_forgotten_history_is_rebuilt_from_the_rows(wires: Wires) -> None:
    item = scored(1)
    assert item.product is not None
    async with wires.database.transaction() as connection:
        assert await scans.history_of(connection, item.product.product_id) is None
        await scans.store(connection, [item])
        history = await scans.history_of(connection, item.product.product_id)
    assert history is not None
    assert history.scans == 1
    assert history.first_at_ms == identifiers.at_ms(item.scan.scan_id)
    assert len(history.devices) == 1
