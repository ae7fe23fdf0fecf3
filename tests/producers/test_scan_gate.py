"""What is refused while Redis is full, late or forgetful, and that all that was accepted lands."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from consumers import maintain, persist, score
from tests.factory_floor import running, store_product, token_of, until
from tests.old_entries import add_old
from tests.phones import Phone, phone_on
from tests.replica import replica_of
from voketag import events, identifiers, metrics
from voketag.redis import shared_pipeline


@pytest.fixture
async def phone(redis_url: str, database_url: str) -> AsyncIterator[Phone]:
    async with phone_on(redis_url, database_url, SHARDS="2") as opened:
        yield opened


@contextlib.asynccontextmanager
async def set_to(redis: Redis, name: str, value: str | int) -> AsyncIterator[None]:
    """Redis with another configuration for a while."""
    before = (await redis.config_get(name))[name] or ""
    await redis.config_set(name, value)
    try:
        yield
    finally:
        await redis.config_set(name, before)


async def used_bytes(redis: Redis) -> int:
    return int((await redis.info("memory"))["used_memory"])


async def until_refused(phone: Phone, token: str, code: str) -> Any:
    """Scan until the answer is 503 with this code; gives its headers."""
    found: list[Any] = []

    async def refused() -> bool:
        status, body, headers = await phone.post("/v1/scans", {"token": token})
        found[:] = [headers]
        return status == 503 and body["code"] == code

    await until(refused, f"a refusal for {code}")
    return found[0]


async def until_accepted(phone: Phone, token: str) -> None:
    async def accepted() -> bool:
        return (await phone.post("/v1/scans", {"token": token}))[0] == 200

    await until(accepted, "a scan accepted again")


def refusals(cause: str) -> float:
    return metrics.REGISTRY.get_sample_value("voketag_scans_refused_total", {"reason": cause}) or 0


def shards_refused(cause: str) -> float:
    return metrics.REGISTRY.get_sample_value("voketag_shards_refused", {"reason": cause}) or 0


async def accepted_scans(phone: Phone) -> int:
    redis = phone.wires.streams.redis
    return sum([await redis.xlen(events.scans(shard)) for shard in range(2)])


async def stored_scans(phone: Phone) -> set[str]:
    async with phone.wires.database.connection() as connection:
        rows = await connection.fetch("SELECT scan_id FROM scan_events")
    return {str(row["scan_id"]) for row in rows}


async def test_f6_a_memory_that_fills_up_refuses_scans_and_nothing_else(phone: Phone) -> None:
    """Forgeries cost nothing, and who was accepted already is told the same again."""
    redis = phone.wires.streams.redis
    token = token_of(phone.wires, (await store_product(phone.wires)).product_id)
    mine = {"scan_id": str(identifiers.new_id()), "country": "BR"}
    first = await phone.scan(token, **mine)
    before = refusals("memory")
    async with set_to(redis, "maxmemory", int(await used_bytes(redis) / 0.92)):
        headers = await until_refused(phone, token, "overloaded")
        assert int(headers["Retry-After"]) >= 1
        assert headers["Content-Type"].startswith("application/problem+json")
        taken = await accepted_scans(phone)
        fresh = {"token": token, "scan_id": str(identifiers.new_id())}
        assert (await phone.post("/v1/scans", fresh))[0] == 503
        assert await accepted_scans(phone) == taken
        assert (await phone.scan("FORGED"))["verdict"] == "not_recognised"
        assert await phone.scan(token, **mine) == first
        assert refusals("memory") > before
        assert shards_refused("memory") == 2
    await until_accepted(phone, token)
    assert shards_refused("memory") == 0


async def test_f6_a_shard_whose_scans_wait_too_long_is_refused_alone(
    redis_url: str, database_url: str
) -> None:
    async with phone_on(redis_url, database_url, SHARDS="2", SHED_AFTER_S="3600") as phone:
        redis = phone.wires.streams.redis
        tokens: dict[int, str] = {}
        while len(tokens) < 2:
            product_id = (await store_product(phone.wires)).product_id
            tokens[events.shard_of(product_id, 2)] = token_of(phone.wires, product_id)
        for stream in (events.scans(1), events.scored(1)):
            (late,) = await add_old(redis, stream, 1, age_ms=4_000_000)
            await until_refused(phone, tokens[1], "overloaded")
            assert shards_refused("age") == 1
            await phone.scan(tokens[0])
            await redis.xdel(stream, late)
            await until_accepted(phone, tokens[1])


async def test_f6_what_was_accepted_lands_after_redis_was_full(phone: Phone) -> None:
    """Consumers that start on a full Redis own their streams, and empty it."""
    redis = phone.wires.streams.redis
    token = token_of(phone.wires, (await store_product(phone.wires)).product_id)
    accepted = {(await phone.scan(token))["scan_id"]}
    async with set_to(redis, "maxmemory", await used_bytes(redis) + 100_000):
        while (answer := await phone.post("/v1/scans", {"token": token}))[0] == 200:
            accepted.add(answer[1]["scan_id"])
        assert answer[0] == 503
        assert int(answer[2]["Retry-After"]) >= 1
        await redis.config_set("maxmemory", await used_bytes(redis) // 2)
        async with running(phone.wires, score.build(phone.wires), persist.build(phone.wires)):

            async def landed() -> bool:
                return await stored_scans(phone) >= accepted

            await until(landed, "every accepted scan stored")
        await maintain.Maintenance(phone.wires).trim_streams()
        assert await accepted_scans(phone) == 0
    await until_accepted(phone, token)
    assert await stored_scans(phone) == accepted
    assert [key async for key in redis.scan_iter("*:dead")] == []


@pytest.mark.parametrize(
    ("name", "forgetful"), [("appendfsync", "no"), ("maxmemory-policy", "allkeys-lru")]
)
async def test_f1_a_redis_that_becomes_forgetful_is_given_no_scans_until_it_is_mended(
    phone: Phone, name: str, forgetful: str
) -> None:
    token = token_of(phone.wires, (await store_product(phone.wires)).product_id)
    await phone.scan(token)
    async with set_to(phone.wires.streams.redis, name, forgetful):
        headers = await until_refused(phone, token, "unavailable")
        assert int(headers["Retry-After"]) >= 1
        assert (await phone.scan("FORGED"))["verdict"] == "not_recognised"
    await until_accepted(phone, token)


async def test_f8_what_waits_in_the_process_is_bounded(
    phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = token_of(phone.wires, (await store_product(phone.wires)).product_id)
    await phone.scan(token)
    monkeypatch.setattr(shared_pipeline, "MAX_WAITING", 0)
    status, body, headers = await phone.post("/v1/scans", {"token": token})
    assert (status, body["code"]) == (503, "overloaded")
    assert int(headers["Retry-After"]) >= 1
    monkeypatch.undo()
    assert (await phone.scan(token))["history"]["scans"] == 2


async def test_f2_a_scan_that_no_replica_holds_is_not_answered(
    redis_url: str, database_url: str, tmp_path: Path
) -> None:
    """It may be there all the same: the same id is answered later, and counts once."""
    async with (
        replica_of(redis_url, tmp_path) as replica,
        phone_on(redis_url, database_url, REDIS_REPLICAS="1") as phone,
        phone_on(redis_url, database_url, REDIS_REPLICAS="1") as elsewhere,
    ):
        token = token_of(phone.wires, (await store_product(phone.wires)).product_id)
        await phone.scan(token)
        mine = {"token": token, "scan_id": str(identifiers.new_id())}
        replica.stall()
        before = refusals("unavailable")
        # What one process wrote is not held because another one, which wrote nothing, is asked.
        for door in (phone, elsewhere):
            status, body, headers = await door.post("/v1/scans", mine)
            assert (status, body["code"]) == (503, "unavailable")
            assert int(headers["Retry-After"]) >= 1
        assert refusals("unavailable") > before
        replica.resume()

        async def answered() -> bool:
            return (await elsewhere.post("/v1/scans", mine))[0] == 200

        await until(answered, "an answer once the replica is back")
        assert (await phone.scan(token))["history"]["scans"] == 3
