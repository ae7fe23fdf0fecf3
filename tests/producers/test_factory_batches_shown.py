"""Batches through the factory's HTTP door: shown, listed, cached, recalled."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tests.erp import Erp, Service, anchor
from tests.servers import Servers
from voketag import events, identifiers
from voketag.events import Notice
from voketag.records import anchors, batches
from voketag.redis import batch_cache
from voketag.redis.intake import recalled_key


async def test_another_factorys_batch_is_not_there(erp: Erp, service: Service) -> None:
    batch_id = await erp.create(product_count=1)
    other = await service.erp()
    for path in (f"/v1/batches/{batch_id}", f"/v1/batches/{batch_id}/products"):
        assert (await other.get(path)).problem == (404, "not_found")
    recall = await other.post(f"/v1/batches/{batch_id}/recall", {"reason": "no"})
    assert recall.problem == (404, "not_found")
    assert (await erp.batch(batch_id))["recalled_at"] is None
    assert (await other.get("/v1/batches")).body["batches"] == []


async def test_a_batch_shows_how_far_its_root_is(erp: Erp) -> None:
    batch_id = await erp.create_stored(product_count=3)
    shown = await erp.batch(batch_id)
    assert shown["anchor"] is None
    root = bytes.fromhex(shown["merkle_root"][2:])
    async with erp.wires.database.connection() as connection:
        await anchors.store_roots(connection, [(batch_id, root)])
    anchor_shown = (await erp.batch(batch_id))["anchor"]
    assert anchor_shown.pop("status") == "queued"
    assert set(anchor_shown.values()) == {None}
    async with erp.wires.database.connection() as connection:
        await connection.execute("DELETE FROM anchor_roots")
    top = await anchor(erp.wires, batch_id, "final")
    assert (await erp.batch(batch_id))["anchor"] == {
        "status": "final",
        "tx_hash": "0x" + "22" * 32,
        "block_number": 7,
        "block_hash": "0x" + "33" * 32,
        "chain_id": 31337,
        "contract": "0x" + "11" * 20,
        "root": "0x" + top.hex(),
    }


async def test_lists_go_from_new_to_old_page_by_page(erp: Erp, service: Service) -> None:
    made = [str(await erp.create(product_count=1)) for _ in range(7)]
    await (await service.erp()).create(product_count=1)
    seen, path, pages = [], "/v1/batches?limit=3", 0
    while path:
        page = (await erp.get(path)).body
        seen += [batch["batch_id"] for batch in page["batches"]]
        pages += 1
        cursor = page["next_cursor"]
        path = f"/v1/batches?limit=3&cursor={cursor}" if cursor else ""
    assert seen == made[::-1]
    assert pages == 3
    assert (await erp.get("/v1/batches?limit=7")).body["next_cursor"] is None


async def test_lists_are_narrowed(erp: Erp) -> None:
    stored = await erp.create_stored(product_count=1)
    pending = await erp.create(product_count=1)

    async def listed(query: str) -> list[str]:
        return [
            batch["batch_id"] for batch in (await erp.get(f"/v1/batches?{query}")).body["batches"]
        ]

    assert await listed("status=processing") == [str(stored)]
    assert await listed("status=pending") == [str(pending)]
    assert await listed("status=failed") == []
    between = identifiers.rfc3339(identifiers.at_time(stored))
    assert await listed(f"created_after={between}") == [str(pending)]
    assert await listed(f"created_after={between}&status=processing") == []
    (shown,) = (await erp.get("/v1/batches?status=processing")).body["batches"]
    assert shown == await erp.batch(stored)


async def test_a_bad_list_is_refused(erp: Erp) -> None:
    for query in (
        "limit=0",
        "limit=101",
        "limit=x",
        "status=done",
        "status=",
        "created_after=yesterday",
        "created_after=12345",
        "cursor=",
        "cursor=abc",
        "cursor=AAAAAAAAAAAAAAAAAAAAAA",
    ):
        answer = await erp.get(f"/v1/batches?{query}")
        assert answer.problem in ((422, "invalid_parameter"), (422, "invalid_field")), query


async def test_the_batches_of_a_month_are_an_index_scan(erp: Erp) -> None:
    async with erp.wires.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO batches (batch_id, factory_id, sku, name, product_count, serials_given, "
            "token_key_id, created_at) SELECT gen_random_uuid(), $1, 's', 'n', 1, false, 1, "
            "now() - n * interval '1 hour' FROM generate_series(1, 5000) AS n",
            erp.factory_id,
        )
        await connection.execute("ANALYZE batches")
        plan = await connection.fetch(
            "EXPLAIN " + batches.VIEW + "WHERE b.factory_id = $1 AND b.created_at > $2 "
            "ORDER BY b.created_at DESC, b.batch_id DESC LIMIT 50",
            erp.factory_id,
            identifiers.time_of_ms(identifiers.at_ms(identifiers.new_id()) - 30 * 86_400_000),
        )
    text = "\n".join(row[0] for row in plan)
    assert "batches_factory" in text
    assert "Seq Scan on batches" not in text
    assert "Sort" not in text


# ---------------------------------------------------------------------- the cache


async def cached(erp: Erp, batch_id: UUID) -> bool:
    return await batch_cache.get(erp.wires.streams.redis, batch_id) is not None


async def test_only_a_completed_batch_is_cached(erp: Erp, service: Service) -> None:
    batch_id = await erp.create_stored(product_count=1)
    await erp.batch(batch_id)
    assert not await cached(erp, batch_id)
    await anchor(erp.wires, batch_id, "final")
    shown = await erp.batch(batch_id)
    assert await cached(erp, batch_id)
    assert 0 < await erp.wires.streams.redis.ttl(f"batch:{batch_id}") <= 300
    assert await erp.batch(batch_id) == shown
    other = await service.erp()
    assert (await other.get(f"/v1/batches/{batch_id}")).problem == (404, "not_found")


async def test_without_redis_or_sense_in_it_postgres_answers(erp: Erp, servers: Servers) -> None:
    batch_id = await erp.create_stored(product_count=1)
    await anchor(erp.wires, batch_id, "final")
    shown = await erp.batch(batch_id)
    await erp.wires.streams.redis.set(f"batch:{batch_id}", b"{")
    assert await erp.batch(batch_id) == shown
    await servers.stop("redis")
    assert await erp.batch(batch_id) == shown


# ---------------------------------------------------------------------- recalling


async def recall(erp: Erp, batch_id: UUID, reason: str) -> dict[str, Any]:
    answer = await erp.post(f"/v1/batches/{batch_id}/recall", {"reason": reason})
    assert answer.status == 200, answer.body
    body: dict[str, Any] = answer.body
    return body


async def notices(erp: Erp) -> list[Notice]:
    entries: Any = await erp.wires.streams.redis.xrange(events.NOTICES)
    return [events.decode_json(fields[b"event"], Notice) for _, fields in entries]


async def test_a_recall_is_told_to_scans_and_to_the_factory(erp: Erp) -> None:
    batch_id = await erp.create(product_count=1)
    shown = await recall(erp, batch_id, "Faulty soles")
    assert shown["recall_reason"] == "Faulty soles"
    assert shown["recalled_at"]
    assert await erp.batch(batch_id) == shown
    for shard in range(erp.wires.settings.shards):
        member: Any = erp.wires.streams.redis.sismember(recalled_key(shard), str(batch_id))
        assert await member
    (notice,) = await notices(erp)
    assert notice.kind == "batch.recalled"
    assert notice.factory_id == erp.factory_id
    assert notice.detail == {"reason": "Faulty soles"}


async def test_the_first_recall_stays(erp: Erp) -> None:
    batch_id = await erp.create(product_count=1)
    first = await recall(erp, batch_id, "one")
    assert await recall(erp, batch_id, "two") == first
    assert len({notice.notice_id for notice in await notices(erp)}) == 1


async def test_a_recall_is_not_hidden_by_what_is_cached(erp: Erp) -> None:
    batch_id = await erp.create_stored(product_count=1)
    await anchor(erp.wires, batch_id, "final")
    await erp.batch(batch_id)
    stale = await batch_cache.get(erp.wires.streams.redis, batch_id)
    assert stale is not None
    await recall(erp, batch_id, "one")
    await batch_cache.offer(erp.wires.streams.redis, stale)  # by a reader that was slow
    assert not await cached(erp, batch_id)
    assert (await erp.batch(batch_id))["recall_reason"] == "one"


async def test_a_recall_without_redis_is_completed_by_a_repeat(erp: Erp, servers: Servers) -> None:
    batch_id = await erp.create(product_count=1)
    await servers.stop("redis")
    answer = await erp.post(f"/v1/batches/{batch_id}/recall", {"reason": "one"})
    assert answer.problem == (503, "unavailable")
    async with erp.wires.database.connection() as connection:
        assert await batches.recalled(connection) == [batch_id]
    await servers.start("redis")
    await recall(erp, batch_id, "one")
    member: Any = erp.wires.streams.redis.sismember(recalled_key(0), str(batch_id))
    assert await member


async def test_a_bad_recall_is_refused(erp: Erp) -> None:
    batch_id = await erp.create(product_count=1)
    for body in ({}, {"reason": ""}, {"reason": "x" * 501}, {"reason": "a\0"}, {"reason": 1}):
        answer = await erp.post(f"/v1/batches/{batch_id}/recall", body)
        assert answer.problem == (422, "invalid_field"), body
    unknown = await erp.post(f"/v1/batches/{identifiers.new_id()}/recall", {"reason": "r"})
    assert unknown.problem == (404, "not_found")
    assert (await erp.batch(batch_id))["recalled_at"] is None
