"""The scan service through its HTTP door, on real servers."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import re
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import pytest

from consumers import persist, score
from producers import scan_gate
from producers.scan_requests import EARLY_MAX_MS, LATE_MAX_MS
from tests.cutting_proxy import cutting_proxy
from tests.factory_floor import running, store_product, token_of, until
from tests.phones import Phone, phone_on, scan_id_at
from tests.servers import Servers
from voketag import events, identifiers, tokens
from voketag.errors import Rejected
from voketag.process import Wires
from voketag.redis import dead_letters
from voketag.redis.connection import Command
from voketag.redis.dead_letters import DeadLetter
from voketag.redis.intake import (
    REPLAY_UNSTORED_S,
    REPLAY_WINDOW_S,
    REPORTERS_TTL_S,
    product_tag,
    replay_key,
    reporters_key,
)
from voketag.redis.streams import Entry


@pytest.fixture
async def phone(redis_url: str, database_url: str) -> AsyncIterator[Phone]:
    async with phone_on(redis_url, database_url) as opened:
        yield opened


async def redis_commands(wires: Wires) -> int:
    info = await wires.streams.redis.info("stats")
    return int(info["total_commands_processed"])


# ---------------------------------------------------------------------- verdicts


async def test_a_genuine_product_is_authentic(phone: Phone) -> None:
    product = await store_product(phone.wires)
    body = await phone.scan(token_of(phone.wires, product.product_id), country="BR")
    assert body["verdict"] == "authentic"
    assert body["product"] == {
        "product_id": str(product.product_id),
        "batch_id": str(product.batch_id),
        "sku": "SHOE-42",
        "name": "Running shoe",
        "serial": "S1",
        "manufactured_at": "2026-11-01T00:00:00Z",
    }
    assert body["risk"]["level"] == "low"
    assert body["history"]["scans"] == 1
    assert body["history"]["countries"] == ["BR"]
    assert body["history"]["first_scanned_at"].endswith("Z")


async def test_forged_and_unknown_answer_the_same_but_for_the_id(phone: Phone) -> None:
    genuine = token_of(phone.wires, (await store_product(phone.wires)).product_id)
    forged = genuine[:-2] + ("0" if genuine[-2] != "0" else "1") + genuine[-1]
    unknown = token_of(phone.wires, identifiers.new_id())
    answers = [await phone.scan(token) for token in (forged, unknown, "HELLO")]
    for body in answers:
        assert UUID(body.pop("scan_id")).version == 7
    assert answers[0] == answers[1] == answers[2]
    assert answers[0] == {
        "verdict": "not_recognised",
        "product": None,
        "risk": None,
        "history": None,
    }


async def test_an_unknown_product_is_known_as_soon_as_it_is_stored(phone: Phone) -> None:
    """No negative answer is cached: nobody can make a product unknown by asking early."""
    token = token_of(phone.wires, identifiers.product_id(identifiers.new_id(), 0))
    assert (await phone.scan(token))["verdict"] == "not_recognised"
    product = await store_product(phone.wires)
    genuine = token_of(phone.wires, product.product_id)
    assert (await phone.scan(genuine))["verdict"] == "authentic"


async def test_a_copied_code_turns_suspicious_then_high_risk(phone: Phone) -> None:
    token = token_of(phone.wires, (await store_product(phone.wires)).product_id)
    verdicts = []
    for number, country in enumerate(("BR", "DE", "JP", "US", "ZA", "IN", "FR", "AU")):
        device = {"install_id": f"device-{number}"}
        body = await phone.scan(token, country=country, device=device)
        verdicts.append(body["verdict"])
    assert verdicts[0] == "authentic"
    assert "suspicious" in verdicts
    assert verdicts[-1] == "high_risk"
    assert body["history"]["scans"] == 8
    codes = {reason["code"] for reason in body["risk"]["reasons"]}
    assert {"many_devices", "many_countries"} <= codes


async def test_a_recalled_batch_says_so(phone: Phone) -> None:
    """Whether it was recalled before the product was cached or after."""
    before = await store_product(phone.wires, recalled=True)
    after = await store_product(phone.wires)
    token = token_of(phone.wires, after.product_id)
    assert (await phone.scan(token))["verdict"] == "authentic"
    await phone.wires.intake.recall(after.batch_id)
    assert (await phone.scan(token))["verdict"] == "recalled"
    recalled = await phone.scan(token_of(phone.wires, before.product_id))
    assert recalled["verdict"] == "recalled"


# ---------------------------------------------------------------------- once


async def test_f4_the_same_scan_id_gives_the_same_answer_and_counts_once(phone: Phone) -> None:
    token = token_of(phone.wires, (await store_product(phone.wires)).product_id)
    request = {"scan_id": str(identifiers.new_id()), "country": "BR"}
    first = await phone.scan(token, **request)
    await phone.scan(token)
    again = await phone.scan(token, **request)
    assert again == first
    assert (await phone.scan(token))["history"]["scans"] == 3


async def test_f4_an_old_scan_id_is_recognised_from_postgres(phone: Phone) -> None:
    """Long after Redis has forgotten it."""
    token = token_of(phone.wires, (await store_product(phone.wires)).product_id)
    old = scan_id_at(time.time_ns() // 1_000_000 - 6 * 86_400_000)
    settings = phone.wires
    async with running(settings, score.build(settings), persist.build(settings)):
        first = await phone.scan(token, scan_id=old, country="BR")
        await phone.record(old)
        shard = events.shard_of(UUID(old), phone.wires.settings.shards)
        await phone.wires.streams.redis.delete(replay_key(shard, UUID(old)))
        assert await phone.scan(token, scan_id=old, country="BR") == first
        rows = await count_rows(phone.wires)
    assert rows == 1


async def test_f4_a_scan_id_is_remembered_until_its_scan_is_stored(phone: Phone) -> None:
    """However old it is and however long that takes: an offline phone posts, and posts again."""
    token = token_of(phone.wires, (await store_product(phone.wires)).product_id)
    old = scan_id_at(time.time_ns() // 1_000_000 - 3_600_000)
    key = replay_key(events.shard_of(UUID(old), phone.wires.settings.shards), UUID(old))
    first = await phone.scan(token, scan_id=old, country="BR")
    await let_pass(phone.wires, REPLAY_WINDOW_S + 60)  # nothing is stored yet
    assert await phone.scan(token, scan_id=old, country="BR") == first
    await let_pass(phone.wires, 7 * 86_400)  # it would be too old to be accepted now
    assert await phone.wires.streams.redis.exists(key)
    async with running(phone.wires, score.build(phone.wires), persist.build(phone.wires)):
        await phone.record(old)
        await until_acknowledged(phone.wires)
    await let_pass(phone.wires, REPLAY_WINDOW_S + 60)
    assert not await phone.wires.streams.redis.exists(key)
    assert await phone.scan(token, scan_id=old, country="BR") == first
    assert (await phone.scan(token))["history"]["scans"] == 2
    assert await count_rows(phone.wires) == 1


async def let_pass(wires: Wires, seconds: int) -> None:
    """Every key of Redis that ends does so by this much sooner."""
    redis = wires.streams.redis
    async for key in redis.scan_iter():
        left_ms = await redis.pttl(key)
        if left_ms > 0 and not key.startswith((b"owner:", b"members:")):
            await redis.pexpire(key, max(0, left_ms - seconds * 1000))


async def until_acknowledged(wires: Wires) -> None:
    async def acknowledged() -> bool:
        return not any(
            [
                (await wires.streams.redis.xpending(events.scored(shard), "persist"))["pending"]
                for shard in range(wires.settings.shards)
            ]
        )

    await until(acknowledged, "everything stored acknowledged")


async def test_f28_a_scored_scan_put_back_counts_once(phone: Phone) -> None:
    """Buried and put back, and put back once more by somebody who kept a copy."""
    token = token_of(phone.wires, (await store_product(phone.wires)).product_id)
    mine = {"scan_id": str(identifiers.new_id()), "country": "BR"}
    first = await phone.scan(token, **mine)
    wires, redis = phone.wires, phone.wires.streams.redis

    async def refuse(_: Sequence[Entry]) -> Sequence[Command]:
        raise Rejected("a version of this program that cannot read it")

    dead: list[DeadLetter] = []

    async def buried() -> bool:
        for shard in range(wires.settings.shards):
            dead.extend(await dead_letters.oldest(redis, events.scored(shard), 10))
        return bool(dead)

    broken = dataclasses.replace(persist.build(wires), handle=refuse)
    async with running(wires, score.build(wires), broken):
        await until(buried, "the scored scan buried")
    assert await phone.scan(token, **mine) == first
    assert await dead_letters.redrive(redis, dead[0].stream, dead[0].entry_id)
    await wires.streams.publish(dead[0].stream, dead[0].fields)
    async with running(wires, score.build(wires), persist.build(wires)):
        await phone.record(mine["scan_id"])

        async def all_handled() -> bool:
            groups: Any = await redis.xinfo_groups(dead[0].stream)
            return all(group["lag"] == 0 and group["pending"] == 0 for group in groups)

        await until(all_handled, "both copies handled")
    async with wires.database.connection() as connection:
        assert await connection.fetchval("SELECT sum(scans) FROM scan_stats_daily") == 1
    assert await count_rows(wires) == 1
    assert (await phone.scan(token))["history"]["scans"] == 2


def test_a_scan_id_that_is_not_stored_is_remembered_for_as_long_as_it_is_accepted() -> None:
    assert REPLAY_UNSTORED_S * 1000 > LATE_MAX_MS + EARLY_MAX_MS


async def test_a_scan_id_of_another_product_is_refused(phone: Phone) -> None:
    scan_id = str(identifiers.new_id())
    one, other = [await store_product(phone.wires) for _ in range(2)]
    await phone.scan(token_of(phone.wires, one.product_id), scan_id=scan_id)
    body = {"token": token_of(phone.wires, other.product_id), "scan_id": scan_id}
    status, answer, _ = await phone.post("/v1/scans", body)
    assert (status, answer["code"]) == (422, "scan_id_used")


async def count_rows(wires: Wires) -> int:
    async with wires.database.connection() as connection:
        return int(await connection.fetchval("SELECT count(*) FROM scan_events"))


async def test_the_record_says_what_the_person_was_told(phone: Phone) -> None:
    token = token_of(phone.wires, (await store_product(phone.wires)).product_id)
    told = await phone.scan(token, country="BR")
    async with phone.session.get(f"/v1/scans/{told['scan_id']}") as response:
        assert response.status == 404
    async with running(phone.wires, score.build(phone.wires), persist.build(phone.wires)):
        record = await phone.record(told["scan_id"])
    answered = record.pop("answered")
    assert record == told
    assert answered == {name: told[name] for name in ("verdict", "risk", "history")}


async def test_well_signed_but_unknown_is_stored_with_a_null_product(phone: Phone) -> None:
    told = await phone.scan(token_of(phone.wires, identifiers.new_id()))
    async with running(phone.wires, score.build(phone.wires), persist.build(phone.wires)):
        record = await phone.record(told["scan_id"])
    assert (record["verdict"], record["product"]) == ("not_recognised", None)
    async with phone.wires.database.connection() as connection:
        row = await connection.fetchrow("SELECT product_id, ip_hash FROM scan_events")
    assert row is not None
    assert row["product_id"] is None
    assert len(row["ip_hash"]) == 16


async def test_a_scan_of_a_cached_product_is_one_round_trip(phone: Phone) -> None:
    """One script does all seven steps: nothing else of ours reaches Redis."""
    token = token_of(phone.wires, (await store_product(phone.wires)).product_id)
    await phone.scan(token)
    before = await script_calls(phone.wires)
    reads = await reads_from_clients(phone.wires)
    for _ in range(20):
        await phone.scan(token, scan_id=str(identifiers.new_id()))
    assert await script_calls(phone.wires) - before == 20
    # One read for each scan, and those of asking for these figures.
    assert await reads_from_clients(phone.wires) - reads <= 20 + 4


async def script_calls(wires: Wires) -> int:
    stats: Any = await wires.streams.redis.info("commandstats")
    return int(stats["cmdstat_evalsha"]["calls"])


async def reads_from_clients(wires: Wires) -> int:
    stats: Any = await wires.streams.redis.info("stats")
    return int(stats["total_reads_processed"])


# ---------------------------------------------------------------------- forgeries and limits


async def test_forged_tokens_cost_no_command_and_are_summed(
    phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many; what they say of the address arrives once a second, in one pipeline."""
    # What the gate asks by the clock would be counted too, on a slow machine for many seconds.
    monkeypatch.setattr(scan_gate, "MEASURE_EVERY_S", 3600.0)
    generator = random.Random(7)
    before = await redis_commands(phone.wires)
    forged = 400
    for _ in range(forged):
        token = "".join(generator.choices(tokens.ALPHABET, k=tokens.TOKEN_CHARACTERS))
        assert (await phone.scan(token))["verdict"] == "not_recognised"
    product = await store_product(phone.wires)
    token = token_of(phone.wires, product.product_id)

    async def noticed() -> bool:
        body = await phone.scan(token)
        return any(reason["code"].startswith("probing") for reason in body["risk"]["reasons"])

    spent = await redis_commands(phone.wires) - before
    assert spent < 40, f"{spent} commands for {forged} forgeries"
    streams = [f"scans:{{{shard}}}" for shard in range(2)]
    assert await phone.wires.streams.redis.exists(*streams) == 0
    await until(noticed, "the address's bad tokens in its risk")


async def test_the_limit_holds_each_address_apart_and_tells_when_to_come_back(
    redis_url: str, database_url: str
) -> None:
    changed = {"SCAN_RATE_LIMIT": "5", "TRUSTED_PROXIES": "127.0.0.0/8"}
    async with phone_on(redis_url, database_url, **changed) as phone:
        token = token_of(phone.wires, (await store_product(phone.wires)).product_id)

        async def scan_from(address: str, body_token: str) -> tuple[int, Any, Any]:
            headers = {"X-Forwarded-For": f"203.0.113.9, {address}"}
            return await phone.post("/v1/scans", {"token": body_token}, headers=headers)

        for body_token in (token, "FORGED"):
            statuses = [(await scan_from("198.51.100.1", body_token))[0] for _ in range(7)]
            assert statuses == [200] * 5 + [429] * 2
        status, body, headers = await scan_from("198.51.100.1", token)
        assert (status, body["code"]) == (429, "too_many_scans")
        assert 1 <= int(headers["Retry-After"]) <= 120
        assert headers["RateLimit-Policy"] == '"scans";q=5;w=60'
        assert headers["RateLimit"].startswith('"scans";r=0;t=')
        assert (await scan_from("198.51.100.2", token))[0] == 200


async def test_reports_are_limited_too(redis_url: str, database_url: str) -> None:
    """One genuine token must not be enough to fill the table of reports."""
    async with phone_on(redis_url, database_url, SCAN_RATE_LIMIT="3") as phone:
        token = token_of(phone.wires, (await store_product(phone.wires)).product_id)
        body = {"token": token, "reason": "other"}
        statuses = [(await phone.post("/v1/reports", body))[0] for _ in range(5)]
        assert statuses == [202] * 3 + [429] * 2


async def test_a_forwarded_address_is_not_believed_from_a_stranger(
    redis_url: str, database_url: str
) -> None:
    async with phone_on(redis_url, database_url, SCAN_RATE_LIMIT="3") as phone:
        token = token_of(phone.wires, (await store_product(phone.wires)).product_id)
        statuses = []
        for number in range(5):
            headers = {"X-Forwarded-For": f"198.51.100.{number}"}
            statuses.append((await phone.post("/v1/scans", {"token": token}, headers=headers))[0])
        assert statuses == [200] * 3 + [429] * 2


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("request_arguments", "status", "code"),
    [
        ({"data": b"{", "headers": {"Content-Type": "application/json"}}, 400, "malformed_json"),
        ({"data": b"\xff", "headers": {"Content-Type": "application/json"}}, 400, "malformed_json"),
        ({"data": b'{"token": "A"}'}, 415, "unsupported_media_type"),
        ({"json": {"token": "A", "country": "x" * 9000}}, 413, "body_too_large"),
        ({"json": {}}, 422, "invalid_field"),
        ({"json": {"token": 5}}, 422, "invalid_field"),
        ({"json": {"token": ""}}, 422, "invalid_field"),
        ({"json": {"token": "A" * 65}}, 422, "invalid_field"),
        ({"json": {"token": "A", "country": "Brazil"}}, 422, "invalid_field"),
        ({"json": {"token": "A", "country": "QQ"}}, 422, "invalid_country"),
        ({"json": {"token": "A", "location": {"lat": 91, "lon": 0}}}, 422, "invalid_field"),
        ({"json": {"token": "A", "scan_id": "7"}}, 422, "invalid_field"),
        ({"json": {"token": "A", "scan_id": "9f0e5f3a-7a5b-4f0e-8a55-1d1f4a3b2c1d"}}, 422, None),
        ({"json": ["A"]}, 422, "invalid_field"),
    ],
)
async def test_bad_input_is_told_what_is_accepted(
    phone: Phone, request_arguments: dict[str, Any], status: int, code: str | None
) -> None:
    answered, body, headers = await phone.post("/v1/scans", **request_arguments)
    assert answered == status, body
    assert code is None or body["code"] == code
    assert headers["Content-Type"].startswith("application/problem+json")
    assert body["detail"]
    assert headers["X-Request-Id"]


@pytest.mark.parametrize("offset_ms", [-7 * 86_400_000 - 60_000, 6 * 60_000])
async def test_a_scan_time_too_far_off_is_refused(phone: Phone, offset_ms: int) -> None:
    scan_id = scan_id_at(time.time_ns() // 1_000_000 + offset_ms)
    status, body, _ = await phone.post("/v1/scans", {"token": "A", "scan_id": scan_id})
    assert (status, body["code"]) == (422, "scan_time_out_of_range")
    assert "7 days" in body["detail"]


# ---------------------------------------------------------------------- outages


async def test_f29_with_postgres_down_cached_products_are_answered(
    redis_url: str, database_url: str, servers: Servers
) -> None:
    async with phone_on(redis_url, database_url) as phone:
        known, other = [await store_product(phone.wires) for _ in range(2)]
        token = token_of(phone.wires, known.product_id)
        await phone.scan(token)
        await servers.stop("postgres")
        assert (await phone.scan(token))["history"]["scans"] == 2
        missed = {"token": token_of(phone.wires, other.product_id)}
        status, body, headers = await phone.post("/v1/scans", missed)
        assert (status, body["code"]) == (503, "unavailable")
        assert int(headers["Retry-After"]) >= 1
        await servers.start("postgres")

        async def answered() -> bool:
            return (await phone.post("/v1/scans", missed))[0] == 200

        await until(answered, "an answer once Postgres is back")


async def test_with_redis_down_the_phone_is_told_to_come_back(
    redis_url: str, database_url: str, servers: Servers
) -> None:
    async with phone_on(redis_url, database_url) as phone:
        token = token_of(phone.wires, (await store_product(phone.wires)).product_id)
        await servers.stop("redis")
        status, _, headers = await phone.post("/v1/scans", {"token": token})
        assert (status, headers["Retry-After"]) == (503, "1")
        await servers.start("redis")

        async def answered() -> bool:
            return (await phone.post("/v1/scans", {"token": token}))[0] == 200

        await until(answered, "an answer once Redis is back")


async def test_f7_each_caller_gets_its_own_reply_from_the_shared_pipeline(phone: Phone) -> None:
    products = [await store_product(phone.wires) for _ in range(8)]
    wanted = [products[number % 8].product_id for number in range(64)]
    bodies = await asyncio.gather(
        *(phone.scan(token_of(phone.wires, product_id)) for product_id in wanted)
    )
    got = [UUID(body["product"]["product_id"]) for body in bodies]
    assert got == wanted
    for product in products:
        counts = [
            body["history"]["scans"]
            for body, product_id in zip(bodies, wanted, strict=True)
            if product_id == product.product_id
        ]
        assert sorted(counts) == list(range(1, 9))


# ---------------------------------------------------------------------- page and reports


async def test_the_page_is_the_same_for_all_and_never_counts(phone: Phone) -> None:
    genuine = token_of(phone.wires, (await store_product(phone.wires)).product_id)
    before = await redis_commands(phone.wires)
    pages = []
    for token in (genuine, "NONSENSE"):
        async with phone.session.get(f"/r/{token}") as response:
            assert response.status == 200
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
            pages.append(re.sub(r'"scan_id" value="[^"]+"', "", await response.text()))
    assert pages[0] == pages[1]
    assert await redis_commands(phone.wires) - before <= 2
    assert (await phone.scan(genuine))["history"]["scans"] == 1


async def test_f34_a_report_whose_commit_was_not_heard_of_is_the_same_when_sent_again(
    redis_url: str, database_url: str
) -> None:
    async with (
        cutting_proxy(database_url) as (proxy, url),
        phone_on(redis_url, url) as phone,
    ):
        product = await store_product(phone.wires)
        body = {"token": token_of(phone.wires, product.product_id), "reason": "counterfeit"}
        proxy.lose_reply_to = b"counterfeit"
        assert (await phone.post("/v1/reports", body))[0] == 503
        assert proxy.cuts == 1
        answers = [await phone.post("/v1/reports", body) for _ in range(2)]
        other = await phone.post("/v1/reports", body | {"reason": "damaged"})
        async with phone.wires.database.connection() as connection:
            rows = await connection.fetch("SELECT report_id FROM fraud_reports")
        assert [status for status, _, _ in (*answers, other)] == [202] * 3
        assert answers[0][1] == answers[1][1]
        ids = {answers[0][1]["report_id"], other[1]["report_id"]}
        assert {str(row["report_id"]) for row in rows} == ids
        assert len(rows) == 2


async def test_reports_are_stored_and_raise_the_risk_once_an_address(phone: Phone) -> None:
    product = await store_product(phone.wires)
    token = token_of(phone.wires, product.product_id)
    for _ in range(2):
        status, body, _ = await phone.post(
            "/v1/reports",
            {
                "token": token,
                "reason": "counterfeit",
                "description": "sole",
                "email": "a@b.example",
            },
        )
        assert status == 202
        assert UUID(body["report_id"]).version == 7
    answer = await phone.scan(token)
    (reason,) = [item for item in answer["risk"]["reasons"] if item["code"] == "reported"]
    assert "one person" in reason["detail"]
    async with phone.wires.database.connection() as connection:
        rows = await connection.fetch("SELECT * FROM fraud_reports")
    assert {(row["product_id"], row["reason"]) for row in rows} == {
        (product.product_id, "counterfeit")
    }


async def test_a_redis_that_was_flushed_learns_again_who_reported_a_product(phone: Phone) -> None:
    """With the product itself, and not of those whose reports were dismissed."""
    product = await store_product(phone.wires)
    token = token_of(phone.wires, product.product_id)
    await phone.post("/v1/reports", {"token": token, "reason": "counterfeit"})
    async with phone.wires.database.connection() as connection:
        await connection.execute(
            "INSERT INTO fraud_reports (report_id, product_id, reason, status, reporter_hash) "
            "VALUES ($1, $2, 'stolen', 'dismissed', $3)",
            identifiers.new_id(),
            product.product_id,
            bytes(16),
        )
    redis = phone.wires.streams.redis
    await redis.flushall()
    for _ in range(2):
        answer = await phone.scan(token)
        (reason,) = [item for item in answer["risk"]["reasons"] if item["code"] == "reported"]
        assert "one person" in reason["detail"]
    shard = events.shard_of(product.product_id, phone.wires.settings.shards)
    assert (
        0
        < await redis.ttl(reporters_key(product_tag(shard, product.product_id)))
        <= REPORTERS_TTL_S
    )


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"reason": "counterfeit"}, 422, "invalid_field"),
        ({"reason": "boring", "token": "A"}, 422, "invalid_field"),
        ({"reason": "stolen", "token": "A"}, 404, "unknown_token"),
        ({"reason": "stolen", "token": "A", "email": "nobody"}, 422, "invalid_field"),
        ({"reason": "stolen", "token": "A", "email": "a@b.example\n"}, 422, "invalid_field"),
        ({"reason": "stolen", "token": "A", "description": "a\u0000b"}, 422, "invalid_field"),
        (
            {"reason": "stolen", "scan_id": "01890a5d-ac96-774b-bcce-b302099a8057"},
            404,
            "unknown_scan",
        ),
    ],
)
async def test_bad_reports(phone: Phone, body: dict[str, Any], status: int, code: str) -> None:
    answered, answer, _ = await phone.post("/v1/reports", body)
    assert (answered, answer["code"]) == (status, code)


@pytest.mark.parametrize("scan_id", ["f49cf4f9-0c03-70be-8acc-9cd0489d1dbe", str(UUID(int=1)), "x"])
async def test_an_id_that_names_no_scan_is_not_found(phone: Phone, scan_id: str) -> None:
    """Not even one whose time lies past the year 9999."""
    async with phone.session.get(f"/v1/scans/{scan_id}") as response:
        assert response.status == 404
