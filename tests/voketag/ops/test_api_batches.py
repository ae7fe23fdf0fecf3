"""Batches of every factory through the HTTP door of ops."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.administration import UNKNOWN, Admin, admin_on
from tests.erp import Erp, Service, serving
from voketag import events, identifiers
from voketag.events import Notice
from voketag.records import all_batches


@pytest.fixture
async def service(redis_url: str, database_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url, database_url) as running:
        yield running


@pytest.fixture
async def admin(redis_url: str, database_url: str) -> AsyncIterator[Admin]:
    async with admin_on(redis_url, database_url) as opened:
        yield opened


async def listed(admin: Admin, query: str = "") -> list[str]:
    found, cursor = [], ""
    while True:
        page = await admin.ask("GET", f"/v1/batches?limit=2{query}{cursor}")
        found += [batch["batch_id"] for batch in page["batches"]]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def test_batches_of_every_factory_are_listed_and_narrowed(
    admin: Admin, service: Service
) -> None:
    erp, other = await service.erp(), await service.erp()
    first = await erp.create_stored(product_count=1)
    made = [first]
    for who in (erp, other, erp, other):
        made.append(await who.create(product_count=1))
    newest_first = [str(batch_id) for batch_id in made[::-1]]
    assert await listed(admin) == newest_first
    of_erp = [str(made[number]) for number in (3, 1, 0)]
    assert await listed(admin, f"&factory_id={erp.factory_id}") == of_erp
    assert await listed(admin, "&status=processing") == [str(first)]
    assert await listed(admin, f"&factory_id={erp.factory_id}&status=pending") == of_erp[:2]
    since = identifiers.rfc3339(identifiers.at_time(made[2]))
    after = [str(batch_id) for batch_id in made[::-1] if identifiers.at_ms(batch_id) > _ms(since)]
    assert await listed(admin, f"&created_after={since}") == after
    assert await listed(admin, f"&factory_id={UNKNOWN}") == []
    for wrong in ("status=open", "factory_id=x", "created_after=x", "cursor=x", "limit=0"):
        await admin.refused("GET", f"/v1/batches?{wrong}", None, 422)


def _ms(moment: str) -> int:
    return identifiers.ms_of_time(datetime.fromisoformat(moment))


async def test_a_batch_is_shown_as_its_factory_sees_it_with_the_factorys_name(
    admin: Admin, service: Service
) -> None:
    erp = await service.erp()
    batch_id = await erp.create_stored(product_count=2)
    shown = await admin.ask("GET", f"/v1/batches/{batch_id}")
    assert shown.pop("factory_name") == "F"
    assert shown == await erp.batch(batch_id)
    await admin.refused("GET", f"/v1/batches/{UNKNOWN}", None, 404)
    await admin.refused("GET", "/v1/batches/x", None, 404)


async def test_a_recall_does_what_the_factorys_does_and_is_in_the_log_once(
    admin: Admin, service: Service
) -> None:
    erp: Erp = await service.erp()
    batch_id = await erp.create(product_count=1)
    path = f"/v1/batches/{batch_id}/recall"
    shown = await admin.ask("POST", path, {"reason": "Glue"})
    again = await admin.ask("POST", path, {"reason": "Other"})
    assert again == shown
    assert (shown["recall_reason"], shown["factory_name"]) == ("Glue", "F")
    assert (await erp.batch(batch_id))["recalled_at"] == shown["recalled_at"]
    redis = admin.wires.streams.redis
    for shard in range(admin.wires.settings.shards):
        assert await redis.sismember(f"recalled:{{{shard}}}", str(batch_id))
    entries: Any = await redis.xrange(events.NOTICES)
    told = [
        events.decode({name.decode(): value for name, value in fields.items()}, Notice)
        for _, fields in entries
    ]
    assert {(one.kind, one.batch_id, one.factory_id) for one in told} == {
        ("batch.recalled", batch_id, erp.factory_id)
    }
    (line,) = (await admin.ask("GET", "/v1/audit"))["entries"]
    assert (line["action"], line["target"]) == ("batch.recall", str(batch_id))
    assert line["detail"] == {"reason": "Glue", "factory_id": str(erp.factory_id)}
    for body in ({}, {"reason": ""}, {"reason": "a\nb"}, {"reason": "x" * 501}):
        await admin.refused("POST", path, body, 422)
    await admin.refused("POST", f"/v1/batches/{UNKNOWN}/recall", {"reason": "Glue"}, 404)


async def test_a_page_is_read_by_an_index_whatever_it_is_narrowed_to(admin: Admin) -> None:
    factory = (await admin.factory())["factory_id"]
    async with admin.wires.database.connection() as connection:
        await connection.execute(
            "INSERT INTO batches (batch_id, factory_id, sku, name, product_count, serials_given, "
            "token_key_id, created_at, status) SELECT uuid7_floor(now() - n * interval '1 min'), "
            "$1, 'S', 'N', 1, false, 1, now() - n * interval '1 min', 'completed' "
            "FROM generate_series(1, 20000) AS n",
            factory,
        )
        await connection.execute("ANALYZE")
        after = identifiers.new_id()
        for query in (
            all_batches.page_query(None, None, None, None, 51),
            all_batches.page_query(None, None, None, after, 51),
            all_batches.page_query(None, "failed", None, after, 51),
            all_batches.page_query(factory, None, None, after, 51),
            all_batches.page_query(None, None, datetime.now(UTC), None, 51),
        ):
            rows = await connection.fetch(f"EXPLAIN {query[0]}", *query[1])
            plan = "\n".join(row[0] for row in rows)
            assert not re.search(r"Seq Scan on batches|Sort Key: b\.", plan), plan
