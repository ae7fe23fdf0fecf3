"""persist: every scan stored once, statistics equal to a recount, whatever is replayed."""

from __future__ import annotations

import random
import time

import msgspec
import pytest

from consumers import persist
from tests.factory_floor import running, until
from tests.scored_scans import (
    acknowledged,
    nothing_buried,
    publish,
    rebuilt_history,
    rows,
    scored,
    statistics_hold,
)
from tests.servers import Servers
from voketag import events, identifiers
from voketag.process import Wires
from voketag.records import known_products, scans


async def test_f31_f34_replays_land_on_themselves(wires: Wires) -> None:
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
    assert await statistics_hold(wires)


async def test_a_replay_inside_one_batch_counts_once(wires: Wires) -> None:
    items = [scored(n) for n in range(10)]
    async with wires.database.transaction() as connection:
        assert await scans.store(connection, items + items[:4]) == 10
    async with wires.database.transaction() as connection:
        assert await scans.store(connection, items) == 0
    assert await rows(wires) == 10
    assert await statistics_hold(wires)


async def test_f29_an_outage_of_postgres_buries_nothing(wires: Wires, servers: Servers) -> None:
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
    assert await nothing_buried(wires)
    assert await statistics_hold(wires)


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
    monkeypatch.setattr(known_products, "REBUILT_SCANS", 2)
    now_ms = time.time_ns() // 1_000_000
    first, *later = [scored(1, now_ms + number) for number in range(4)]
    items = [first, *(msgspec.structs.replace(item, product=first.product) for item in later)]
    assert first.product is not None
    async with wires.database.transaction() as connection:
        await scans.store(connection, items)
        history = await rebuilt_history(connection, first.product.product_id)
    assert history is not None
    assert history.scans == 4
    assert history.first_at_ms == now_ms


async def test_a_forgotten_history_is_rebuilt_from_the_rows(wires: Wires) -> None:
    item = scored(1)
    assert item.product is not None
    async with wires.database.transaction() as connection:
        assert await rebuilt_history(connection, item.product.product_id) is None
        await scans.store(connection, [item])
        history = await rebuilt_history(connection, item.product.product_id)
    assert history is not None
    assert history.scans == 1
    assert history.first_at_ms == identifiers.at_ms(item.scan.scan_id)
    assert len(history.devices) == 1
