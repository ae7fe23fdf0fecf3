"""What happens to rows at the end of a month, and where the next one is not there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from consumers import persist, register
from consumers.maintain import Maintenance, months_before
from tests.factory_floor import running, settings_for, until
from tests.scored_scans import (
    acknowledged,
    nothing_buried,
    publish,
    rows,
    scored,
    statistics_hold,
)
from voketag import events, identifiers, metrics, process
from voketag.batches.submission import CheckedBatch
from voketag.errors import Unavailable
from voketag.events import BatchAccepted, ScoredScan
from voketag.process import Wires
from voketag.records import batches, factories, partitions, scans
from voketag.records.batches import Origin
from voketag.redis.streams import Entry

LATER = datetime(2031, 1, 31, 23, 59, 50, tzinfo=UTC)  # no partition is there yet
MISPLACED = """
    SELECT count(*) FROM scan_events WHERE tableoid::regclass::text <>
    'scan_events_' || to_char(scanned_at AT TIME ZONE 'UTC', 'YYYY_MM')
"""


class Clock:
    """A clock that the tests move."""

    def __init__(self) -> None:
        self.time = LATER

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
async def wires(redis_url: str, database_url: str) -> AsyncIterator[Wires]:
    settings = settings_for(redis_url, database_url, SHARDS="1")
    async with process.open_wires(settings, database=True) as opened:
        yield opened


def scans_at(moment: datetime, count: int) -> list[ScoredScan]:
    at_ms = identifiers.ms_of_time(moment)
    return [scored(number, at_ms + number) for number in range(count)]


async def misplaced(wires: Wires) -> int:
    async with wires.database.connection() as connection:
        return int(await connection.fetchval(MISPLACED))


async def until_stored(wires: Wires, count: int) -> None:
    async def stored() -> bool:
        return await rows(wires) == count and await acknowledged(wires)

    await until(stored, f"{count} scans stored")


async def do_duties(maintenance: Maintenance) -> None:
    """What maintain does with partitions, one after another; a busy table is tried again later."""
    duties = maintenance.ensure_partitions, maintenance.drop_partitions
    for duty in (*duties, maintenance.watch_default_partition):
        with contextlib.suppress(Unavailable):
            await duty()


async def test_f31_f32_months_end_under_load(wires: Wires) -> None:
    """Half a year goes by while scans are stored: months are made and dropped around them."""
    clock = Clock()
    maintenance = Maintenance(wires, clock)
    await maintenance.ensure_partitions()
    sent: list[ScoredScan] = []
    async with running(wires, persist.build(wires)):
        for month in range(1, 7):
            # From before midnight to after it, and one that was a week under way.
            batch = [*scans_at(clock.time, 40), *scans_at(clock.time + timedelta(seconds=20), 40)]
            batch += scans_at(clock.time - timedelta(days=7), 10)
            sent += batch
            await asyncio.gather(publish(wires, batch), do_duties(maintenance))
            clock.time = months_before(LATER, -month - 1) - timedelta(seconds=10)
        await publish(wires, sent[::7])  # and some of them once more, half a year later
        await until_stored(wires, len(sent))
    assert await misplaced(wires) == 0
    assert await nothing_buried(wires)
    assert await statistics_hold(wires)


async def test_f32_scans_of_a_month_that_is_missing_move_into_it(wires: Wires) -> None:
    """They are stored all the same, say so, and do not keep their month from being made."""
    maintenance = Maintenance(wires, Clock())
    early, late = scans_at(LATER, 50), scans_at(LATER + timedelta(seconds=20), 50)

    def shown() -> float | None:
        return metrics.REGISTRY.get_sample_value("voketag_default_partition_rows")

    async with running(wires, persist.build(wires)):
        await publish(wires, early + late)
        await until_stored(wires, 100)
        async with wires.database.connection() as connection:
            assert await partitions.default_rows(connection) == 100
        # While they move, the same ones come again, and more.
        more = scans_at(LATER + timedelta(seconds=1), 200)
        await asyncio.gather(publish(wires, early + more), maintenance.watch_default_partition())
        assert shown() == 100
        await until_stored(wires, 300)
        await maintenance.watch_default_partition()
        await maintenance.watch_default_partition()
    assert shown() == 0
    assert await misplaced(wires) == 0
    assert await nothing_buried(wires)
    assert await statistics_hold(wires)


async def test_f32_scans_on_their_way_into_the_default_partition_move_too(
    wires: Wires, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were they not waited for, a stream of them would keep the month from being made for ever."""
    monkeypatch.setattr(partitions, "LOCK_TIMEOUT_MS", 20_000)
    first, second = scans_at(LATER, 2)
    async with wires.database.transaction() as connection:
        await scans.store(connection, [first])
    watcher = await asyncpg.connect(database_url)

    async def waits() -> bool:
        return bool(await watcher.fetchval("SELECT 1 FROM pg_locks WHERE NOT granted"))

    try:
        async with wires.database.transaction() as connection:
            await scans.store(connection, [second])
            moving = asyncio.create_task(Maintenance(wires).watch_default_partition())
            await until(waits, "the move waiting for its lock")
        await moving
    finally:
        await watcher.close()
    assert await misplaced(wires) == 0
    assert await rows(wires) == 2


async def test_f32_months_are_made_ahead_over_what_lies_in_the_default_partition(
    wires: Wires,
) -> None:
    async with wires.database.transaction() as connection:
        await scans.store(connection, scans_at(LATER + timedelta(days=40), 5))
    await Maintenance(wires, Clock()).ensure_partitions()
    assert await misplaced(wires) == 0
    assert await rows(wires) == 5


async def accepted_later(wires: Wires) -> UUID:
    """A batch that was accepted in a month for which there is no partition."""
    fresh = identifiers.new_id().int & ((1 << 80) - 1)
    batch_id = UUID(int=identifiers.ms_of_time(LATER) << 80 | fresh)
    async with wires.database.transaction() as connection:
        factory_id, _ = await factories.create_factory(connection, "F", "f@example.com")
        batch = CheckedBatch("SHOE-42", "Running shoe", 3, None, None, (), None)
        await batches.insert(connection, batch_id, batch, Origin(factory_id, None, b""), 1)
    return batch_id


async def test_f32_products_wait_for_their_month(wires: Wires) -> None:
    """There is no DEFAULT partition to hold them; the batch must not fail for it."""
    batch_id = await accepted_later(wires)
    fields = events.encode(BatchAccepted(batch_id))
    handle = register.build(wires).handle
    with pytest.raises(Unavailable, match="no partition"):
        await handle([Entry(events.batches(0), "1-1", fields)])
    await Maintenance(wires, Clock()).ensure_partitions()
    await handle([Entry(events.batches(0), "1-1", fields)])
    async with wires.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM products_2031_01") == 3
