"""The ops service through its HTTP door, on real servers."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.factory_floor import running, settings_for, store_product, until
from tests.servers import Servers
from voketag import events, identifiers, keys, process
from voketag.consumer import Consumer
from voketag.events import Product
from voketag.ops import api
from voketag.process import Wires
from voketag.records import factories, reports, stats
from voketag.redis_connection import Command
from voketag.web import listening

UNKNOWN = "01890000-0000-7000-8000-000000000000"


class Admin:
    """Someone with the admin key at one ops service."""

    def __init__(self, session: aiohttp.ClientSession, wires: Wires) -> None:
        self.session = session
        self.wires = wires
        self.headers = {"Authorization": f"Bearer {wires.settings.admin_key}"}

    async def ask(
        self, method: str, path: str, body: Any = None, expected: int = 200, **request: Any
    ) -> Any:
        """The JSON answer to a request, None where it has no body."""
        if body is not None:
            request["json"] = body
        request.setdefault("headers", self.headers)
        async with self.session.request(method, path, **request) as response:
            text = await response.text()
            assert response.status == expected, text
            return await response.json(content_type=None) if text else None

    async def refused(self, method: str, path: str, body: Any, status: int) -> tuple[str, str]:
        """The code and the detail of an answer that is an error."""
        answer = await self.ask(method, path, body, status)
        return answer["code"], answer["detail"]

    async def factory(self, name: str = "F", email: str = "erp@factory.example") -> Any:
        return await self.ask("POST", "/v1/factories", {"name": name, "email": email}, 201)


@contextlib.asynccontextmanager
async def admin_on(redis_url: str, database_url: str, **changed: str) -> AsyncIterator[Admin]:
    settings = settings_for(redis_url, database_url, **changed)
    async with (
        process.open_wires(settings, database=True) as wires,
        api.opened(wires) as app,
        listening(app, settings, 0) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        yield Admin(session, wires)


@pytest.fixture
async def admin(redis_url: str, database_url: str) -> AsyncIterator[Admin]:
    async with admin_on(redis_url, database_url) as opened:
        yield opened


# ---------------------------------------------------------------------- who may


async def test_everything_but_health_metrics_and_the_page_needs_the_admin_key(
    admin: Admin,
) -> None:
    document = await admin.ask("GET", "/openapi.json", headers={})
    open_paths = {
        path
        for path, operations in document["paths"].items()
        for operation in operations.values()
        if "security" not in operation
    }
    assert open_paths == {"/", "/healthz", "/readyz", "/metrics"}
    wrong: tuple[dict[str, str], ...] = (
        {},
        {"Authorization": "Bearer " + "x" * 34},
        {"Authorization": f"Bearer {admin.wires.settings.admin_key}x"},
        {"Authorization": f"Basic {admin.wires.settings.admin_key}"},
        {"Authorization": "Bearer \u00e9\u00e8"},
    )
    for path, operations in document["paths"].items():
        for method in operations:
            for headers in wrong if path not in open_paths else ():
                answer = await admin.ask(
                    method.upper(), path.replace("{id}", UNKNOWN), None, 401, headers=headers
                )
                assert answer["code"] == "unauthorised"


async def test_the_page_is_self_contained_and_runs_nothing_but_its_own_script(
    admin: Admin,
) -> None:
    async with admin.session.get("/") as response:
        page, policy = await response.text(), response.headers["Content-Security-Policy"]
    assert response.content_type == "text/html"
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"""(?:src|href|action)\s*=|@import|url\(|//\w""", page) == []
    assert " style=" not in page
    assert not re.search(r"\son\w+=", page)
    assert "innerHTML" not in page


# ---------------------------------------------------------------------- factories and keys


async def test_a_factory_is_made_with_a_key_that_is_shown_once(admin: Admin) -> None:
    body = {"name": "Tênis Ltda", "email": "ERP@Factory.example"}
    async with admin.session.post("/v1/factories", json=body, headers=admin.headers) as response:
        assert response.status == 201
        made = await response.json()
        location = response.headers["Location"]
    assert location == f"/v1/factories/{made['factory_id']}"
    key = made["api_key"]
    async with admin.wires.database.connection() as connection:
        owner = await factories.factory_of_key(connection, keys.digest(key), datetime.now(UTC))
    assert owner is not None
    assert owner.state == "valid"
    assert str(owner.factory_id) == made["factory_id"]
    shown = await admin.ask("GET", location)
    assert shown["name"] == "Tênis Ltda"
    assert shown["email"] == "erp@factory.example"
    assert [kept["prefix"] for kept in shown["keys"]] == [keys.prefix(key)]
    assert key not in str(shown)
    assert keys.digest(key).hex() not in str(await admin.ask("GET", "/v1/factories"))


async def test_an_email_address_belongs_to_one_factory(admin: Admin) -> None:
    await admin.factory(email="erp@factory.example")
    code, detail = await admin.refused(
        "POST", "/v1/factories", {"name": "G", "email": "Erp@factory.example"}, 409
    )
    assert code == "email_used"
    assert "exists already" in detail
    assert len((await admin.ask("GET", "/v1/factories"))["factories"]) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "F"}, 422),
        ({"name": "", "email": "erp@factory.example"}, 422),
        ({"name": "a\x00b", "email": "erp@factory.example"}, 422),
        ({"name": "F" * 256, "email": "erp@factory.example"}, 422),
        ({"name": "F", "email": "factory.example"}, 422),
        ({"name": "F", "email": "erp@factory"}, 422),
        ({"name": "F", "email": "erp@factory.example\n"}, 422),
        ({"name": "F", "email": "e rp@factory.example"}, 422),
        ({"name": "F", "email": "erp@factory.example", "admin": True}, 422),
        ([], 422),
    ],
)
async def test_a_bad_factory_is_refused_whole(admin: Admin, body: Any, status: int) -> None:
    await admin.refused("POST", "/v1/factories", body, status)
    assert (await admin.ask("GET", "/v1/factories"))["factories"] == []


async def test_factories_are_listed_in_pages(admin: Admin) -> None:
    made = [(await admin.factory(email=f"f{n}@factory.example"))["factory_id"] for n in range(5)]
    listed, cursor = [], ""
    for _ in range(3):
        page = await admin.ask("GET", f"/v1/factories?limit=2{cursor}")
        listed += [factory["factory_id"] for factory in page["factories"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert listed == made
    assert page["next_cursor"] is None
    for query in ("limit=0", "limit=1001", "limit=x", "cursor=nonsense"):
        await admin.refused("GET", f"/v1/factories?{query}", None, 422)


async def test_keys_are_added_with_an_end_and_revoked(admin: Admin) -> None:
    path = f"/v1/factories/{(await admin.factory())['factory_id']}/keys"
    ends = datetime.now(UTC) + timedelta(days=1)
    made = await admin.ask("POST", path, {"expires_at": ends.isoformat()}, 201)
    assert datetime.fromisoformat(made["expires_at"]) == ends
    assert (await admin.ask("POST", path, {}, 201))["expires_at"] is None
    digest = keys.digest(made["api_key"])
    for moment, state in ((ends - timedelta(seconds=1), "valid"), (ends, "expired")):
        async with admin.wires.database.connection() as connection:
            owner = await factories.factory_of_key(connection, digest, moment)
        assert owner is not None
        assert owner.state == state
    for _ in range(2):  # once more changes nothing
        await admin.ask("DELETE", f"/v1/keys/{made['key_id']}", None, 204)
    async with admin.wires.database.connection() as connection:
        owner = await factories.factory_of_key(connection, digest, datetime.now(UTC))
    assert owner is not None
    assert owner.state == "revoked"


async def test_bad_ends_and_unknown_ids_are_refused(admin: Admin) -> None:
    path = f"/v1/factories/{(await admin.factory())['factory_id']}/keys"
    for end in (
        "2020-01-01T00:00:00Z",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        "2099-01-01T00:00:00",
        "tomorrow",
        1,
    ):
        await admin.refused("POST", path, {"expires_at": end}, 422)
    await admin.refused("POST", f"/v1/factories/{UNKNOWN}/keys", {}, 404)
    await admin.refused("POST", "/v1/factories/1/keys", {}, 404)
    await admin.refused("GET", f"/v1/factories/{UNKNOWN}", None, 404)
    await admin.refused("GET", f"/v1/factories/{UUID(int=0)}", None, 404)
    await admin.refused("DELETE", f"/v1/keys/{UNKNOWN}", None, 404)


# ---------------------------------------------------------------------- streams


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


# ---------------------------------------------------------------------- statistics


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
        await admin.wires.streams.redis.zadd(f"top:{{{shard}}}:{day}", {str(found): scans})
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
            await connection.fetch(f"EXPLAIN {stats.DAYS}", datetime.now(UTC).date(), 30),
            await connection.fetch(f"EXPLAIN {stats.NAMES}", [identifiers.new_id()] * 10),
            await connection.fetch(
                f"EXPLAIN {reports.OF_STATUS}", UUID(int=(1 << 128) - 1), 100, "new"
            ),
            await connection.fetch(f"EXPLAIN {reports.ALL}", UUID(int=(1 << 128) - 1), 100),
        ]
    for plan in plans:
        text = "\n".join(row[0] for row in plan)
        assert "scan_events" not in text, text
        for table in ("scan_stats_daily", "fraud_reports", "products"):
            assert not re.search(f"Seq Scan on {table}", text), text


# ---------------------------------------------------------------------- reports


async def _report(admin: Admin, product: Product, reporter: bytes) -> str:
    report_id = identifiers.new_id()
    await admin.wires.intake.report(product.product_id, reporter.hex())
    async with admin.wires.database.connection() as connection:
        for _ in range(2):  # a repeat is the same report
            await reports.insert_report(
                connection,
                report_id,
                product.product_id,
                None,
                "counterfeit",
                "The logo is wrong.",
                "someone@mail.example",
                reporter,
            )
    return str(report_id)


async def _reporters(admin: Admin, product: Product) -> int:
    shard = events.shard_of(product.product_id, admin.wires.settings.shards)
    key = f"reporters:{{{shard}}}:{product.product_id.hex}"
    return int(await admin.wires.streams.redis.scard(key))


async def test_reports_are_listed_newest_first_in_pages_and_by_status(admin: Admin) -> None:
    product = await store_product(admin.wires)
    made = [await _report(admin, product, bytes([n]) * 16) for n in range(5)]
    listed, cursor = [], ""
    for _ in range(3):
        page = await admin.ask("GET", f"/v1/reports?status=new&limit=2{cursor}")
        listed += [report["report_id"] for report in page["reports"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert listed == made[::-1]
    assert page["next_cursor"] is None
    (report,) = page["reports"]
    assert report["email"] == "someone@mail.example"
    assert report["status"] == "new"
    assert "hash" not in str(report)
    assert (await admin.ask("GET", "/v1/reports?status=dismissed"))["reports"] == []
    assert len((await admin.ask("GET", "/v1/reports"))["reports"]) == 5
    await admin.refused("GET", "/v1/reports?status=open", None, 422)


async def test_a_report_is_changed_and_keeps_what_is_not_named(admin: Admin) -> None:
    product = await store_product(admin.wires)
    path = f"/v1/reports/{await _report(admin, product, b'a' * 16)}"
    changed = await admin.ask("PATCH", path, {"status": "in_review", "note": "asked\nthe shop"})
    assert (changed["status"], changed["note"]) == ("in_review", "asked\nthe shop")
    assert changed["updated_at"] > changed["created_at"]
    assert (await admin.ask("PATCH", path, {"status": "confirmed"}))["note"] == "asked\nthe shop"
    assert (await admin.ask("PATCH", path, {"note": None}))["note"] is None
    for body in ({}, {"status": "open"}, {"note": "a\x00"}, {"reason": "other"}, {"note": 1}):
        await admin.refused("PATCH", path, body, 422)
    await admin.refused("PATCH", f"/v1/reports/{UNKNOWN}", {"note": "x"}, 404)
    (left,) = (await admin.ask("GET", "/v1/reports"))["reports"]
    assert (left["status"], left["note"]) == ("confirmed", None)


async def test_a_product_is_free_of_suspicion_once_all_its_reports_are_dismissed(
    admin: Admin,
) -> None:
    product = await store_product(admin.wires)
    paths = [f"/v1/reports/{await _report(admin, product, name * 16)}" for name in (b"a", b"b")]
    await admin.ask("PATCH", paths[0], {"status": "dismissed"})
    assert await _reporters(admin, product) == 2
    await admin.ask("PATCH", paths[1], {"status": "dismissed"})
    assert await _reporters(admin, product) == 0
    await admin.ask("PATCH", paths[1], {"status": "confirmed"})
    assert await _reporters(admin, product) == 1


# ---------------------------------------------------------------------- servers that are away


async def test_without_postgres_streams_and_metrics_still_answer(
    servers: Servers, redis_url: str, database_url: str
) -> None:
    async with admin_on(redis_url, database_url) as admin:
        await servers.stop("postgres")
        async with admin.session.get("/v1/stats", headers=admin.headers) as response:
            assert response.status == 503
            assert response.headers["Retry-After"]
            assert (await response.json())["code"] == "unavailable"
        await admin.ask("GET", "/readyz", None, 503)
        assert (await admin.ask("GET", "/v1/streams"))["streams"]
        await servers.start("postgres")

        async def answers() -> bool:
            async with admin.session.get("/v1/stats", headers=admin.headers) as response:
                return response.status == 200

        await until(answers, "statistics after Postgres is back")


async def test_without_redis_metrics_still_answer(
    servers: Servers, redis_url: str, database_url: str
) -> None:
    async with admin_on(redis_url, database_url) as admin:
        await servers.stop("redis")
        async with admin.session.get("/metrics") as response:
            assert response.status == 200
            assert "voketag_http_requests_total" in await response.text()
        await admin.ask("GET", "/v1/streams", None, 503)
        await servers.start("redis")
