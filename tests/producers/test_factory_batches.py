"""Batches through the factory's HTTP door: made, and made once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from consumers import register
from tests.cutting_proxy import cutting_proxy
from tests.erp import SHOE, Erp, Service, serving, together
from tests.factory_floor import running
from tests.servers import Servers
from voketag import events, identifiers
from voketag.records import batches

BAD_VALUES: list[dict[str, Any]] = [
    {"sku": ""},
    {"sku": "x" * 65},
    {"sku": "a\0"},
    {"sku": 7},
    {"name": "x" * 256},
    {"name": "a\n"},
    {"name": None},
    {"product_count": 0},
    {"product_count": -1},
    {"product_count": 1_000_001},
    {"product_count": 1.5},
    {"product_count": "10"},
    {"product_count": None},
    {"product_count": ...},
    {"serials": ["A"]},
    {"product_count": ..., "serials": []},
    {"product_count": ..., "serials": [""]},
    {"product_count": ..., "serials": ["x" * 65]},
    {"product_count": ..., "serials": ["a\0"]},
    {"product_count": ..., "serials": ["é"]},
    {"product_count": ..., "serials": [1]},
    {"product_count": ..., "serials": "ABC"},
    {"manufactured_at": "yesterday"},
    {"manufactured_at": "2026-01-31T08:00:00"},
    {"manufactured_at": "9999-01-01"},
    {"destination_countries": ["br"]},
    {"destination_countries": ["ZZ"]},
    {"destination_countries": "BR"},
    {"destination_countries": ["BR"] * 251},
    {"attributes": []},
    {"attributes": {"a": "\0"}},
    {"attributes": {"a": "x" * 20_000}},
    {"attributes": {"a": 10**30}},
    {"products": 7},
]
BAD_REQUESTS: list[tuple[bytes, dict[str, str], tuple[int, str]]] = [
    (b"", {}, (400, "malformed_json")),
    (b"{", {}, (400, "malformed_json")),
    (b'{"sku":"\xff"}', {}, (400, "malformed_json")),
    (b'{"sku":"\\ud800"}', {}, (400, "malformed_json")),
    (b'{"attributes":{"a":' + b"[" * 100_000, {}, (400, "malformed_json")),
    (b"[]", {}, (422, "invalid_field")),
    (b"{}", {"Content_Type": "text/plain"}, (415, "unsupported_media_type")),
    (b" " * (32 * 1024 * 1024 + 1), {}, (413, "body_too_large")),
    (b"{}", {"Idempotency_Key": "two words"}, (422, "invalid_field")),
]


async def batch_count(erp: Erp) -> int:
    async with erp.wires.database.connection() as connection:
        count: int = await connection.fetchval("SELECT count(*) FROM batches")
    return count


async def entries(erp: Erp, stream: str) -> Any:
    return await erp.wires.streams.redis.xrange(stream)


# ---------------------------------------------------------------------- making


async def test_a_batch_is_accepted_and_announced(erp: Erp) -> None:
    answer = await erp.post("/v1/batches", SHOE | {"product_count": 1000})
    assert answer.status == 202
    batch_id = answer.body["batch_id"]
    assert answer.body == {"batch_id": batch_id, "status": "pending", "product_count": 1000}
    assert answer.headers["Location"] == f"/v1/batches/{batch_id}"
    shown = (await erp.get(answer.headers["Location"])).body
    assert shown["status"] == "pending"
    assert shown["factory_id"] == str(erp.factory_id)
    assert shown["anchor"] is None
    assert shown["merkle_root"] is None
    announced = [
        fields[b"event"]
        for shard in range(erp.wires.settings.shards)
        for _, fields in await entries(erp, events.batches(shard))
    ]
    assert announced == [b'{"batch_id":"' + batch_id.encode() + b'"}']


async def test_a_batch_keeps_what_was_said_of_it(erp: Erp) -> None:
    said = {
        "sku": "Schuh/42 é☃",
        "name": "Laufschuh",
        "serials": ["A-1", "a/2 ~", "=1+1"],
        "manufactured_at": "2026-01-31T10:00:00+02:00",
        "destination_countries": ["BR", "PT"],
        "attributes": {"colour": "blue", "sizes": [42, 43.5, None, True], "\\u0000": "\\u0000"},
    }
    shown = await erp.batch(await erp.create(**said))
    assert shown["product_count"] == 3
    assert shown["manufactured_at"] == "2026-01-31T08:00:00Z"
    for name in ("sku", "name", "destination_countries", "attributes"):
        assert shown[name] == said[name]
    async with erp.wires.database.connection() as connection:
        created_at = await connection.fetchval("SELECT created_at FROM batches")
        batch_id = await connection.fetchval("SELECT batch_id FROM batches")
    assert created_at == identifiers.at_time(batch_id)


async def test_a_batch_is_accepted_while_redis_is_down(erp: Erp, servers: Servers) -> None:
    await servers.stop("redis")
    batch_id = await erp.create(product_count=1)
    await servers.start("redis")
    soon = datetime.now(UTC) + timedelta(seconds=1)
    async with erp.wires.database.connection() as connection:
        assert await batches.pending_since(connection, soon) == [batch_id]
        assert await batches.pending_since(connection, soon - timedelta(hours=1)) == []


async def test_a_bad_value_is_refused_and_nothing_kept(erp: Erp) -> None:
    for change in BAD_VALUES:
        fields = SHOE | {"product_count": 1} | change
        body = {name: value for name, value in fields.items() if value is not ...}
        answer = await erp.post("/v1/batches", body)
        assert answer.problem == (422, "invalid_field"), change
    assert await batch_count(erp) == 0


async def test_a_bad_request_is_refused(erp: Erp) -> None:
    for body, headers, expected in BAD_REQUESTS:
        answer = await erp.post("/v1/batches", body, **headers)
        assert answer.problem == expected, body[:30]
    assert await batch_count(erp) == 0


# ---------------------------------------------------------------------- once and only once


async def test_the_same_key_and_body_make_one_batch(erp: Erp) -> None:
    body = SHOE | {"serials": ["A", "B"]}
    first = await erp.post("/v1/batches", body, Idempotency_Key="order-1")
    again = await erp.post("/v1/batches", body, Idempotency_Key="order-1")
    assert (first.status, again.status) == (202, 202)
    assert again.raw == first.raw
    assert again.headers["Location"] == first.headers["Location"]
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert await batch_count(erp) == 1


async def test_a_key_stands_for_one_body_of_one_factory(erp: Erp, service: Service) -> None:
    body = SHOE | {"product_count": 1}
    assert (await erp.post("/v1/batches", body, Idempotency_Key="k")).status == 202
    other_body = await erp.post("/v1/batches", body | {"product_count": 2}, Idempotency_Key="k")
    assert other_body.problem == (422, "idempotency_key_reused")
    other = await service.erp()
    answer = await other.post("/v1/batches", body, Idempotency_Key="k")
    assert answer.status == 202
    assert "Idempotent-Replayed" not in answer.headers
    assert await batch_count(erp) == 2


async def test_equal_requests_at_once_make_one_batch(erp: Erp) -> None:
    body = SHOE | {"serials": [f"S{number}" for number in range(100)]}
    answers = await together(
        *(erp.post("/v1/batches", body, Idempotency_Key="same") for _ in range(8))
    )
    assert {answer.status for answer in answers} == {202}
    assert len({answer.raw for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert await batch_count(erp) == 1


async def test_a_refused_request_leaves_its_key_free(erp: Erp) -> None:
    refused = await erp.post("/v1/batches", SHOE | {"product_count": 0}, Idempotency_Key="k")
    assert refused.status == 422
    taken = await erp.post("/v1/batches", SHOE | {"serials": ["A", "A"]}, Idempotency_Key="k")
    assert taken.status == 422
    assert (
        await erp.post("/v1/batches", SHOE | {"product_count": 1}, Idempotency_Key="k")
    ).status == 202


async def test_a_serial_is_used_once_for_a_factory_and_sku(erp: Erp, service: Service) -> None:
    await erp.create(serials=[f"S{number}" for number in range(20)])
    answer = await erp.post(
        "/v1/batches", SHOE | {"serials": ["new", *map("S{}".format, range(9))]}
    )
    assert answer.problem == (409, "serial_already_used")
    assert answer.body["detail"].count('"S') == 5
    assert await batch_count(erp) == 1
    await erp.create(serials=["new"])
    await erp.create(serials=["S1"], sku="SHOE-43")
    await (await service.erp()).create(serials=["S1"])


async def test_a_serial_stands_in_a_batch_once(erp: Erp) -> None:
    serials = [f"S{number % 19_990}" for number in range(20_000)]
    answer = await erp.post("/v1/batches", SHOE | {"serials": serials})
    assert answer.problem == (422, "duplicate_serial")
    assert answer.body["field"] == "serials"
    assert answer.body["detail"].count('"S') == 5
    assert await batch_count(erp) == 0


async def test_of_two_batches_with_one_serial_one_is_made(erp: Erp) -> None:
    answers = await together(
        *(erp.post("/v1/batches", SHOE | {"serials": ["one", f"n{n}"]}) for n in range(6))
    )
    assert sorted(answer.status for answer in answers) == [202, 409, 409, 409, 409, 409]
    assert await batch_count(erp) == 1


async def test_f34_a_batch_whose_commit_was_not_heard_of_is_the_same_when_sent_again(
    redis_url: str, database_url: str
) -> None:
    async with (
        cutting_proxy(database_url) as (proxy, url),
        serving(redis_url, url) as service,
        running(service.wires, register.build(service.wires)),
    ):
        erp = await service.erp()
        body = SHOE | {"serials": ["A", "B"]}
        proxy.lose_reply_to = b"COMMIT"
        lost = await erp.post("/v1/batches", body, Idempotency_Key="order-1")
        assert lost.problem == (503, "unavailable")
        assert proxy.cuts == 1
        answers = [await erp.post("/v1/batches", body, Idempotency_Key="order-1") for _ in range(2)]
        assert [answer.status for answer in answers] == [202, 202]
        assert answers[0].body["batch_id"] == answers[1].body["batch_id"]
        await erp.reaches(UUID(answers[0].body["batch_id"]), "processing")
        listed = await erp.get("/v1/batches")
        assert len(listed.body["batches"]) == 1
