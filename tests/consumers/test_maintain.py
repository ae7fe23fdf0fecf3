"""maintain on real servers: what is trimmed, made, dropped, published again and remembered."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from consumers import maintain
from consumers.maintain import Maintenance, months_before
from tests.factory_floor import running, settings_for, store_product, until
from tests.old_entries import add_old, deliver, ids_in
from tests.servers import Servers
from voketag import events, identifiers, metrics, process, topology
from voketag.events import BatchAccepted
from voketag.process import Wires
from voketag.records import partitions

STREAM = events.scans(0)


@contextlib.asynccontextmanager
async def wires_of(redis_url: str, database_url: str, **changed: str) -> AsyncIterator[Wires]:
    settings = settings_for(redis_url, database_url, **changed)
    async with process.open_wires(settings, database=True) as opened:
        yield opened


@pytest.fixture
async def wires(redis_url: str, database_url: str) -> AsyncIterator[Wires]:
    async with wires_of(redis_url, database_url) as opened:
        yield opened


# ---------------------------------------------------------------------- partitions


async def partitions_of(connection: Any, table: str) -> set[str]:
    rows = await connection.fetch(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
        "WHERE inhparent = $1::text::regclass",
        table,
    )
    return {row["relname"] for row in rows}


def month_name(table: str, moment: datetime) -> str:
    return f"{table}_{moment:%Y_%m}"


async def test_f32_partitions_are_made_ahead(wires: Wires) -> None:
    async with wires.database.connection() as connection:
        for table in ("scan_events", "products"):
            for name in await partitions_of(connection, table):
                if re.search(r"\d{4}_\d{2}$", name):
                    await connection.execute(f"DROP TABLE {name}")
        await Maintenance(wires).ensure_partitions()
        for table in ("scan_events", "products"):
            made = await partitions_of(connection, table)
            first = months_before(datetime.now(UTC) - timedelta(days=7), 0)
            for ahead in range(5):
                assert month_name(table, months_before(first, -ahead)) in made


async def test_f32_months_past_their_time_are_dropped_and_no_others(
    redis_url: str, database_url: str
) -> None:
    async with wires_of(redis_url, database_url, RETENTION_MONTHS="3") as wires:
        now = datetime.now(UTC)
        async with wires.database.connection() as connection:
            await connection.execute("SELECT ensure_partitions($1, 5)", months_before(now, 5))
            for ago in (5, 4, 3):
                scan_id = scan_at(months_before(now, ago) + timedelta(days=3))
                await insert_scan(connection, scan_id)
            products = await partitions_of(connection, "products")
            await Maintenance(wires).drop_partitions()
            left = await partitions_of(connection, "scan_events")
            kept = [months_before(now, ago) for ago in (3, 2, 1, 0)]
            assert {month_name("scan_events", month) for month in kept} <= left
            assert not {month_name("scan_events", months_before(now, ago)) for ago in (5, 4)} & left
            assert "scan_events_default" in left
            assert await partitions_of(connection, "products") == products
            assert await connection.fetchval("SELECT count(*) FROM scan_events") == 1
            tables = await connection.fetchval(
                "SELECT count(*) FROM pg_class WHERE relname = $1",
                month_name("scan_events", months_before(now, 5)),
            )
            assert tables == 0


def scan_at(moment: datetime) -> UUID:
    fresh = identifiers.new_id().int & ((1 << 80) - 1)
    return UUID(int=(round(moment.timestamp() * 1000) << 80) | fresh)


async def insert_scan(connection: Any, scan_id: UUID) -> None:
    await connection.execute(
        "INSERT INTO scan_events (scan_id, scanned_at, received_at, verdict, ip_hash, "
        "fingerprint_hash) VALUES ($1, $2, $2, 'authentic', '', '')",
        scan_id,
        identifiers.at_time(scan_id),
    )


async def test_f32_a_busy_table_is_not_waited_for_long(
    redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Someone who reads the scans for hours keeps the drop waiting, and nobody else."""
    monkeypatch.setattr(partitions, "LOCK_TIMEOUT_MS", 50)
    async with wires_of(redis_url, database_url, RETENTION_MONTHS="1") as wires:
        now = datetime.now(UTC)
        old = months_before(now, 3)
        analyst = await asyncpg.connect(database_url)
        try:
            await analyst.execute("SELECT ensure_partitions($1, 0)", old)
            await insert_scan(analyst, scan_at(old + timedelta(days=3)))
            async with analyst.transaction():
                await analyst.fetch("SELECT * FROM scan_events")
                maintenance = Maintenance(wires)
                await maintenance.tick()
                async with wires.database.connection() as connection:
                    name = month_name("scan_events", old)
                    assert name in await partitions_of(connection, "scan_events")
                    assert await connection.fetchval("SELECT count(*) FROM scan_events") == 1
            await maintenance.tick()
            assert name not in await partitions_of(analyst, "scan_events")
        finally:
            await analyst.close()


async def test_f32_rows_in_the_default_partition_are_an_alarm(wires: Wires) -> None:
    maintenance = Maintenance(wires)

    def shown() -> float | None:
        return metrics.REGISTRY.get_sample_value("voketag_default_partition_rows")

    await maintenance.watch_default_partition()
    assert shown() == 0
    async with wires.database.connection() as connection:
        await insert_scan(connection, scan_at(datetime(2001, 1, 15, tzinfo=UTC)))
    await maintenance.watch_default_partition()
    assert shown() == 1
    assert b"voketag_default_partition_rows" in metrics.snapshot()


@pytest.mark.parametrize(
    ("moment", "months", "begins"),
    [
        (datetime(2026, 3, 31, 23, 59, tzinfo=UTC), 0, datetime(2026, 3, 1, tzinfo=UTC)),
        (datetime(2026, 3, 31, tzinfo=UTC), 1, datetime(2026, 2, 1, tzinfo=UTC)),
        (datetime(2026, 1, 1, tzinfo=UTC), 13, datetime(2024, 12, 1, tzinfo=UTC)),
        (datetime(2026, 12, 1, tzinfo=UTC), -1, datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)
def test_months_before(moment: datetime, months: int, begins: datetime) -> None:
    assert months_before(moment, months) == begins


# ---------------------------------------------------------------------- batches and recalls


async def pending_batch(wires: Wires, age: timedelta) -> UUID:
    """A batch that the factory service stored as pending so long ago."""
    product = await store_product(wires)
    batch_id = scan_at(datetime.now(UTC) - age)
    async with wires.database.connection() as connection:
        await connection.execute(
            "INSERT INTO batches (batch_id, factory_id, sku, name, product_count, serials_given, "
            "token_key_id, created_at) VALUES ($1, $2, 'S', 'N', 1, false, 1, $3)",
            batch_id,
            product.factory_id,
            identifiers.at_time(batch_id),
        )
    return batch_id


async def announced(wires: Wires) -> list[UUID]:
    found = []
    for shard in range(wires.settings.shards):
        entries: Any = await wires.streams.redis.xrange(events.batches(shard))
        for _, fields in entries:
            named = {name.decode(): value for name, value in fields.items()}
            found.append(events.decode(named, BatchAccepted).batch_id)
    return found


async def test_a_pending_batch_whose_event_was_lost_is_published_once_more(wires: Wires) -> None:
    lost = await pending_batch(wires, timedelta(minutes=1))
    await pending_batch(wires, timedelta(seconds=1))  # its event may be on its way
    maintenance = Maintenance(wires)
    for _ in range(3):
        await maintenance.announce_batches()
    assert await announced(wires) == [lost]


async def test_a_batch_that_waits_its_turn_is_not_published_again(wires: Wires) -> None:
    waiting = await pending_batch(wires, timedelta(minutes=1))
    stream = events.batches(events.shard_of(waiting, wires.settings.shards))
    await wires.streams.redis.xadd(
        stream,
        events.encode(BatchAccepted(waiting)),  # type: ignore[arg-type]
        id=f"{identifiers.at_ms(waiting) + 5}-0",
    )
    maintenance = Maintenance(wires)
    await maintenance.announce_batches()
    assert await announced(wires) == [waiting]
    await wires.streams.ensure_group(stream, "register")
    await deliver(wires.streams.redis, stream, "register", 1)
    await maintenance.announce_batches()
    assert await announced(wires) == [waiting]
    entries = await ids_in(wires.streams.redis, stream)
    await wires.streams.redis.xack(stream, "register", *entries)  # finished, and still pending
    await maintenance.announce_batches()
    assert await announced(wires) == [waiting, waiting]


async def test_a_redis_that_was_flushed_learns_of_recalls_again(wires: Wires) -> None:
    product = await store_product(wires, recalled=True)
    await store_product(wires)
    await Maintenance(wires).reconcile_recalls()
    for shard in range(wires.settings.shards):
        members: Any = await wires.streams.redis.smembers(f"recalled:{{{shard}}}")
        assert members == {str(product.batch_id).encode()}


# ---------------------------------------------------------------------- the process


async def test_trimming_goes_on_without_postgres(redis_url: str) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    async with wires_of(redis_url, nowhere) as wires:
        client = wires.streams.redis
        ids = await add_old(client, STREAM, 3)
        await wires.streams.ensure_group(STREAM, "score")
        await deliver(client, STREAM, "score", 3)
        await client.xack(STREAM, "score", *ids)

        async def trimmed() -> bool:
            return await client.xlen(STREAM) == 0

        async with running(wires, maintain.build(wires)):
            await until(trimmed, "the stream trimmed")


async def test_f6_nothing_finished_is_kept_in_a_redis_that_fills_up(wires: Wires) -> None:
    redis = wires.streams.redis
    await add_old(redis, STREAM, 3, age_ms=1000)
    for stream, groups in topology.groups_of(wires.settings.shards).items():
        for group in groups:
            await wires.streams.ensure_group(stream, group)
    await deliver(redis, STREAM, "score", 2)
    await redis.xack(STREAM, "score", *await ids_in(redis, STREAM))
    await Maintenance(wires).trim_streams()
    assert await redis.xlen(STREAM) == 3
    before = (await redis.config_get("maxmemory"))["maxmemory"] or 0
    await redis.config_set("maxmemory", int((await redis.info("memory"))["used_memory"] / 0.9))
    try:
        await Maintenance(wires).trim_streams()
    finally:
        await redis.config_set("maxmemory", before)
    assert await redis.xlen(STREAM) == 1  # nobody has worked on this one


async def test_one_process_at_a_time_does_what_must_be_done_alone(wires: Wires) -> None:
    lost = await pending_batch(wires, timedelta(minutes=1))
    async with wires.database.transaction() as connection:
        assert await partitions.lock_maintenance(connection)
        await Maintenance(wires).tick()
        assert await announced(wires) == []
    await Maintenance(wires).tick()
    assert await announced(wires) == [lost]


async def test_a_duty_that_fails_does_not_hold_up_the_others(wires: Wires) -> None:
    async with wires.database.connection() as connection:
        await connection.execute("DROP FUNCTION ensure_partitions")
    lost = await pending_batch(wires, timedelta(minutes=1))
    await store_product(wires, recalled=True)
    await Maintenance(wires).tick()
    assert await announced(wires) == [lost]
    assert await wires.streams.redis.scard("recalled:{0}") == 1


async def test_the_process_resumes_after_postgres_was_away(
    servers: Servers, redis_url: str, database_url: str
) -> None:
    async with wires_of(redis_url, database_url) as wires:
        lost = await pending_batch(wires, timedelta(minutes=1))
        await servers.stop("postgres")

        async def done() -> bool:
            return await announced(wires) == [lost]

        async with running(wires, maintain.build(wires)):
            await servers.start("postgres")
            await until(done, "the batch published again")
