"""Streams, metrics and statistics through the HTTP door of ops."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.administration import Admin, admin_on
from tests.factory_floor import running, store_product, until
from tests.servers import Servers
from voketag import events, identifiers, topology
from voketag.consumer import Consumer
from voketag.records import product_pages, reports, stats
from voketag.redis.connection import Command


@pytest.fixture
async def admin(redis_url: str, database_url: str) -> AsyncIterator[Admin]:
    async with admin_on(redis_url, database_url) as opened:
        yield opened


def _groups(answer: Any, stream: str) -> dict[str, Any]:
    (found,) = [item for item in answer["streams"] if item["stream"] == stream]
    return {group["group"]: {**group, "length": found["length"]} for group in found["groups"]}


async def test_f24_streams_say_what_waits_and_for_how_long(admin: Admin) -> None:
    streams, stream = admin.wires.streams, events.scans(0)
    group = _groups(await admin.ask("GET", "/v1/streams"), stream)["score"]
    assert (group["length"], group["oldest_unacked_s"], group["consumers"]) == (0, 0, 0)
    assert group["lag"] is None  # the group does not exist yet: not known, so not 0

    old_ms = time.time_ns() // 1_000_000 - 60_000
    for n in range(3):
        await streams.redis.xadd(stream, {"v": "1"}, id=f"{old_ms + n}-0")
    await streams.ensure_group(stream, "score")
    group = _groups(await admin.ask("GET", "/v1/streams"), stream)["score"]
    assert (group["length"], group["lag"], group["pending"]) == (3, 3, 0)
    assert 60 <= group["oldest_unacked_s"] < 75

    first = await streams.read(stream, "score", pending=False, count=2)
    assert await streams.own(stream, "score", 3000)
    await streams.complete("score", first[:1])
    group = _groups(await admin.ask("GET", "/v1/streams"), stream)["score"]
    assert (group["lag"], group["pending"]) == (1, 1)
    assert 59.9 <= group["oldest_unacked_s"] < 75

    await streams.complete("score", first)
    rest = await streams.read(stream, "score", pending=False, count=10)
    await streams.bury("score", rest[0], "of no use", 1)
    answer = await admin.ask("GET", "/v1/streams")
    group = _groups(answer, stream)["score"]
    assert (group["lag"], group["pending"], group["oldest_unacked_s"]) == (0, 0, 0)
    assert {item["stream"]: item["dead"] for item in answer["streams"]}[stream] == 1


async def test_f24_an_unknown_lag_is_null(admin: Admin) -> None:
    streams, stream = admin.wires.streams, events.ROOTS
    ids = [await streams.publish(stream, {"v": b"1"}) for _ in range(4)]
    await streams.redis.xgroup_create(stream, "anchor", id=ids[1])
    await streams.redis.xdel(stream, ids[2])
    group = _groups(await admin.ask("GET", "/v1/streams"), stream)["anchor"]
    assert group["lag"] is None
    assert group["oldest_unacked_s"] >= 0


async def test_f17_a_stranger_among_the_groups_is_shown_as_one(admin: Admin) -> None:
    await admin.wires.streams.ensure_group(events.NOTICES, "curious")
    groups = _groups(await admin.ask("GET", "/v1/streams"), events.NOTICES)
    assert groups["curious"]["registered"] is False
    assert groups["notify"]["registered"] is True


async def _gauges(admin: Admin) -> dict[tuple[str, ...], float]:
    """The gauges as Prometheus reads them, by name without its prefix, stream and group."""
    async with admin.session.get("/metrics") as response:
        families = list(text_string_to_metric_families(await response.text()))
    return {
        (
            sample.name.removeprefix("voketag_"),
            *(sample.labels[label] for label in ("stream", "group") if label in sample.labels),
        ): sample.value
        for family in families
        for sample in family.samples
        if family.type == "gauge"
    }


async def test_f24_prometheus_is_told_how_the_streams_stand(admin: Admin) -> None:
    streams, stream = admin.wires.streams, events.scans(0)
    gauges = await _gauges(admin)
    assert gauges["stream_length", stream] == 0
    assert gauges["group_processes", "score"] == 0
    assert ("group_lag", stream, "score") not in gauges  # not known, so not 0

    old_ms = time.time_ns() // 1_000_000 - 60_000
    for n in range(4):
        await streams.redis.xadd(stream, {"v": "1"}, id=f"{old_ms + n}-0")
    await streams.ensure_group(stream, "score")
    assert await streams.own(stream, "score", 60_000)
    now_ms = time.time_ns() // 1_000_000
    await streams.redis.zadd(topology.members_key("score"), {"a process": now_ms + 60_000})
    entries = await streams.read(stream, "score", pending=False, count=2)
    await streams.bury("score", entries[0], "of no use", 1)
    gauges = await _gauges(admin)
    assert gauges["stream_length", stream] == 4
    assert gauges["dead_letters", stream] == 1
    assert gauges["dead_letters", events.scans(1)] == 0
    assert gauges["group_lag", stream, "score"] == 2
    assert gauges["group_pending", stream, "score"] == 1
    assert 60 <= gauges["oldest_unacked_seconds", stream, "score"] < 90
    assert gauges["group_processes", "score"] == 1

    await streams.redis.xgroup_setid(stream, "score", entries[1].entry_id)
    await streams.redis.xdel(stream, f"{old_ms + 2}-0")  # now Redis cannot say what is left
    gauges = await _gauges(admin)
    assert ("group_lag", stream, "score") not in gauges


async def test_f17_prometheus_is_told_of_a_stranger_and_that_it_has_gone(admin: Admin) -> None:
    await admin.wires.streams.ensure_group(events.NOTICES, "curious")
    gauges = await _gauges(admin)
    assert gauges["unregistered_groups", events.NOTICES] == 1
    assert gauges["unregistered_groups", events.ROOTS] == 0
    assert ("group_processes", "curious") not in gauges
    assert gauges["group_pending", events.NOTICES, "curious"] == 0
    await admin.wires.streams.redis.xgroup_destroy(events.NOTICES, "curious")
    gauges = await _gauges(admin)
    assert gauges["unregistered_groups", events.NOTICES] == 0
    assert ("group_pending", events.NOTICES, "curious") not in gauges


async def test_f24_what_cannot_be_read_is_not_told_as_it_was(
    admin: Admin, servers: Servers
) -> None:
    assert ("stream_length", events.ROOTS) in await _gauges(admin)
    await servers.stop("redis")
    assert not any(name[0] in ("stream_length", "group_processes") for name in await _gauges(admin))
    await servers.start("redis")
    assert ("stream_length", events.ROOTS) in await _gauges(admin)


async def test_living_processes_are_counted_and_leave_their_metrics(admin: Admin) -> None:
    stream = events.scans(0)

    async def handle(_: Any) -> list[Command]:
        return []

    async def shown() -> dict[str, float]:
        async with admin.session.get("/metrics") as response:
            families = text_string_to_metric_families(await response.text())
        return {
            sample.labels["process"]: sample.value
            for family in families
            for sample in family.samples
            if sample.name == "voketag_entries_handled_total"
            and sample.labels.get("process")
            and sample.labels["stream"] == stream
        }

    async def living() -> int:
        groups = _groups(await admin.ask("GET", "/v1/streams"), stream)
        return int(groups["score"]["consumers"])

    async def two_live() -> bool:
        return await living() == 2

    async def served() -> bool:
        return "score" in await shown()

    consumer = Consumer("score", (stream, events.scans(1)), handle)
    async with running(admin.wires, consumer, consumer):
        await until(two_live, "two consumers counted")
        await admin.wires.streams.publish(stream, {"v": b"1"})
        await until(served, "the figures of score")
    assert await living() == 0


async def _count_day(admin: Admin, day: Any, factory: UUID, **figures: int) -> None:
    names = ", ".join(figures)
    values = ", ".join(str(value) for value in figures.values())
    async with admin.wires.database.connection() as connection:
        await connection.execute(
            f"INSERT INTO scan_stats_daily (day, factory_id, {names}) VALUES ($1, $2, {values})",
            day,
            factory,
        )


async def test_stats_give_thirty_days_of_all_factories(admin: Admin) -> None:
    today = datetime.now(UTC).date()
    one, other = identifiers.new_id(), UUID(int=0)
    await _count_day(admin, today, one, scans=3, unique_products=2, risk_score_sum=60, authentic=3)
    await _count_day(admin, today, other, scans=2, not_recognised=2)
    await _count_day(admin, today - timedelta(days=29), one, scans=1, high_risk=1)
    await _count_day(admin, today - timedelta(days=30), one, scans=100, authentic=100)
    answer = await admin.ask("GET", "/v1/stats")
    days = answer["days"]
    assert [day["day"] for day in days] == [
        (today - timedelta(days=n)).isoformat() for n in range(30)
    ]
    assert days[0] == {
        "day": today.isoformat(),
        "scans": 5,
        "unique_products": 2,
        "avg_risk_score": 20.0,
        "authentic": 3,
        "suspicious": 0,
        "high_risk": 0,
        "recalled": 0,
        "not_recognised": 2,
    }
    assert days[1]["scans"] == 0
    assert days[1]["avg_risk_score"] is None
    assert days[29]["high_risk"] == 1
    assert answer["today"] == {"day": today.isoformat(), "scans": 0, "stored": days[0]}
    assert answer["top_products"] == []


async def test_stats_name_the_most_scanned_products_of_today(admin: Admin) -> None:
    product = await store_product(admin.wires)
    stranger = identifiers.new_id()
    day = datetime.now(UTC).date().isoformat()
    for found, scans in ((product.product_id, 7), (stranger, 9)):
        shard = events.shard_of(found, admin.wires.settings.shards)
        await admin.wires.streams.redis.zadd(f"top:{{{shard}}}:{day}", {found.hex: scans})
        await admin.wires.streams.redis.incrby(f"today:{{{shard}}}:{day}", scans)
    answer = await admin.ask("GET", "/v1/stats")
    assert answer["today"]["scans"] == 16
    assert answer["top_products"] == [
        {"product_id": str(stranger), "scans": 9, "sku": None, "name": None},
        {
            "product_id": str(product.product_id),
            "scans": 7,
            "sku": product.sku,
            "name": product.name,
        },
    ]


async def test_no_statement_of_ops_reads_the_scans_or_walks_a_large_table(admin: Admin) -> None:
    """Guards the plans: statistics and names go by primary keys, reports by their index."""
    async with admin.wires.database.connection() as connection:
        await connection.execute(
            "INSERT INTO scan_stats_daily (day, factory_id) SELECT '2020-01-01'::date + n % 2000, "
            "gen_random_uuid() FROM generate_series(1, 20000) AS n"
        )
        await connection.execute(
            "INSERT INTO fraud_reports (report_id, reason, reporter_hash, status) "
            "SELECT gen_random_uuid(), 'other', '', 'dismissed' FROM generate_series(1, 20000)"
        )
        await connection.execute(
            "INSERT INTO products SELECT uuid7_floor(now() + n * interval '1 ms'), $1, '' "
            "FROM generate_series(1, 20000) AS n",
            identifiers.new_id(),
        )
        await connection.execute("ANALYZE")
        plans = [
            await connection.fetch(f"EXPLAIN {stats.DAYS}", datetime.now(UTC).date(), 30, None),
            await connection.fetch(f"EXPLAIN {product_pages.FOUND}", identifiers.new_id()),
            await connection.fetch(f"EXPLAIN {stats.NAMES}", [identifiers.new_id()] * 10),
            *[
                await connection.fetch(f"EXPLAIN {statement}", *values)
                for statement, values in (
                    reports.list_query(100, None, None, None),
                    reports.list_query(100, "new", None, None),
                    reports.list_query(100, None, identifiers.new_id(), None),
                )
            ],
            await connection.fetch(
                f"EXPLAIN {reports.CHANGED}", datetime.now(UTC), UUID(int=0), 500
            ),
        ]
    for plan in plans:
        text = "\n".join(row[0] for row in plan)
        assert "scan_events" not in text, text
        for table in ("scan_stats_daily", "fraud_reports", f"products_{datetime.now(UTC):%Y_%m}"):
            assert not re.search(f"Seq Scan on {table}", text), text
