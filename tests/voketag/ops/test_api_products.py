"""Products through the HTTP door of ops: found, shown with their scans, proven."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from consumers import persist, score
from tests.administration import UNKNOWN, Admin, admin_on, operator
from tests.erp import Erp, anchor, serving
from tests.factory_floor import running, store_product, token_of, until
from tests.phones import Phone, phone_on, scan_id_at
from voketag import identifiers
from voketag.batches.making import Maker, product_of_serial
from voketag.records import product_pages


@pytest.fixture
async def admin(redis_url: str, database_url: str) -> AsyncIterator[Admin]:
    async with admin_on(redis_url, database_url, TRUSTED_PROXIES="127.0.0.1/32") as opened:
        yield opened


@contextlib.asynccontextmanager
async def phone_of(admin: Admin, redis_url: str, database_url: str) -> AsyncIterator[Phone]:
    """A phone whose scans are scored and stored."""
    async with (
        phone_on(redis_url, database_url) as phone,
        running(admin.wires, score.build(admin.wires), persist.build(admin.wires)),
    ):
        yield phone


async def found(admin: Admin, query: str) -> list[dict[str, Any]]:
    products: list[dict[str, Any]] = (await admin.ask("GET", f"/v1/products?{query}"))["products"]
    return products


async def test_a_product_is_shown_with_its_score_and_scans(
    admin: Admin, redis_url: str, database_url: str
) -> None:
    product = await store_product(admin.wires)
    path = f"/v1/products/{product.product_id}"
    token = token_of(admin.wires, product.product_id)
    fresh = await admin.ask("GET", path)
    assert (fresh["history"], fresh["score"], fresh["reports"]) == (None, None, [])
    assert (await admin.ask("GET", f"{path}/scans")) == {"scans": [], "next_cursor": None}
    async with phone_of(admin, redis_url, database_url) as phone:
        told = []
        for country, device in (("BR", "one"), ("BR", "two"), ("PT", "three")):
            device_told = {"install_id": device}
            told.append(await phone.scan(token, country=country, device=device_told))
        await phone.record(told[-1]["scan_id"])
        await phone.post("/v1/reports", {"token": token, "reason": "stolen", "email": "a@b.test"})
    shown = await admin.ask("GET", path)
    assert shown["serial"] == "S1"
    assert shown["batch"]["batch_id"] == str(product.batch_id)
    assert shown["factory"] == {"factory_id": str(product.factory_id), "name": "F"}
    assert shown["recalled"] is False
    assert shown["token_url"].endswith(f"/r/{token}")
    history = shown["history"]
    assert (history["scans"], history["countries"], history["devices"]) == (3, ["BR", "PT"], 3)
    assert history["first_scanned_at"] <= history["last_scanned_at"]
    last = told[-1]
    assert (shown["score"]["verdict"], shown["score"]["score"]) == (
        last["verdict"],
        last["risk"]["score"],
    )
    assert (shown["score"]["level"], shown["score"]["reasons"]) == (
        last["risk"]["level"],
        last["risk"]["reasons"],
    )
    (report,) = shown["reports"]
    assert set(report) == {"report_id", "reason", "status", "created_at", "updated_at"}

    page = await admin.ask("GET", f"{path}/scans?limit=2")
    rest = await admin.ask("GET", f"{path}/scans?limit=2&cursor={page['next_cursor']}")
    scans = page["scans"] + rest["scans"]
    assert [one["scan_id"] for one in scans] == [one["scan_id"] for one in told[::-1]]
    assert rest["next_cursor"] is None
    assert [one["country"] for one in scans] == ["PT", "BR", "BR"]
    assert all(re.fullmatch("[0-9a-f]{8}", one["device"]) for one in scans)
    assert scans[0]["reasons"] == last["risk"]["reasons"]
    assert {one["location"] for one in scans} == {None}

    # Without Redis' memory of it the history is that of the stored scans.
    await admin.wires.streams.redis.flushall()
    assert (await admin.ask("GET", path))["history"] == history


async def test_a_viewer_is_not_told_what_a_code_leads_to(admin: Admin) -> None:
    product = await store_product(admin.wires, recalled=True)
    viewer, _ = await operator(admin, "viewer")
    shown = await viewer.ask("GET", f"/v1/products/{product.product_id}")
    assert (shown["token_url"], shown["recalled"]) == (None, True)


async def test_a_product_is_found_by_whatever_a_person_has_of_it(admin: Admin) -> None:
    product = await store_product(admin.wires)
    wanted = str(product.product_id)
    token = token_of(admin.wires, product.product_id)
    for q in (
        wanted,
        wanted.upper(),
        f"%20{wanted}%20",
        token,
        token.lower(),
        f"https://verify.example/r/{token}",
        f"https://verify.example/r/{token}%3Futm_source=x",
    ):
        assert [one["product_id"] for one in await found(admin, f"q={q}")] == [wanted], q
    for q in (UNKNOWN, "https://verify.example/", "https://verify.example/r/NONE"):
        assert await found(admin, f"q={q}") == []
    for query in ("", "q=", "q=S1", "q=NONE", f"q={'x' * 513}", f"q={wanted}&batch_id=x"):
        await admin.refused("GET", f"/v1/products?{query}", None, 422)


async def test_a_serial_is_found_in_its_batch(
    admin: Admin, redis_url: str, database_url: str
) -> None:
    async with serving(redis_url, database_url) as service:
        erp: Erp = await service.erp()
        given = await erp.create_stored(serials=["A 1", "B-2", UNKNOWN], sku="GIVEN")
        derived = await erp.create_stored(product_count=3)
    for batch_id, index, serial in ((given, 1, "B-2"), (derived, 2, "")):
        product_id = str(identifiers.product_id(batch_id, index))
        serial = serial or (await admin.ask("GET", f"/v1/products/{product_id}"))["serial"]
        (one,) = await found(admin, f"q={serial}&batch_id={batch_id}")
        assert (one["product_id"], one["serial"]) == (product_id, serial)
        other = derived if batch_id == given else given
        assert await found(admin, f"q={serial}&batch_id={other}") == []
        assert await found(admin, f"q={serial}%00&batch_id={batch_id}") == []
    assert await found(admin, f"q=b-2&batch_id={given}") == []
    assert await found(admin, f"q=B-2&batch_id={UNKNOWN}") == []


def test_a_derived_serial_says_which_product_of_a_batch_it_is() -> None:
    batch_id = identifiers.new_id()
    chunk = Maker(batch_id, UUID(int=1), "S", None).chunk(0, 500)
    for product_id, serial in zip(chunk.product_ids, chunk.serials, strict=True):
        assert product_of_serial(batch_id, serial) == UUID(bytes=product_id)
    for other in ("", "0" * 14, "Z" * 15, "0" * 14 + "U", "0" * 14 + "a"):
        assert product_of_serial(batch_id, other) is None


async def test_a_product_is_proven_as_to_its_factory(
    admin: Admin, redis_url: str, database_url: str
) -> None:
    async with serving(redis_url, database_url) as service:
        erp = await service.erp()
        batch_id = await erp.create_stored(product_count=3)
        path = f"/v1/products/{identifiers.product_id(batch_id, 1)}/proof"
        assert (await admin.refused("GET", path, None, 409))[0] == "not_anchored_yet"
        await anchor(erp.wires, batch_id, "final")
        assert await admin.ask("GET", path) == (await erp.get(path)).body
    for path in ("", "/scans", "/proof"):
        await admin.refused("GET", f"/v1/products/{UNKNOWN}{path}", None, 404)


async def test_scans_of_a_product_are_read_by_its_index(admin: Admin) -> None:
    product = await store_product(admin.wires)
    async with admin.wires.database.connection() as connection:
        await connection.execute(
            "INSERT INTO scan_events (scan_id, product_id, scanned_at, received_at, verdict, "
            "ip_hash, fingerprint_hash) SELECT gen_random_uuid(), gen_random_uuid(), "
            "now() - n * interval '1 s', now(), 'authentic', '', '' "
            "FROM generate_series(1, 20000) AS n"
        )
        await connection.execute("ANALYZE")
        rows = await connection.fetch(
            f"EXPLAIN {product_pages.SCANS}",
            product.product_id,
            50,
            datetime.now(UTC),
            identifiers.new_id(),
        )
    plan = "\n".join(row[0] for row in rows)
    month = f"scan_events_{datetime.now(UTC):%Y_%m}"
    assert not re.search(f"Seq Scan on {month}", plan), plan
    assert f"{month}_product_id" in plan, plan


async def test_pages_of_scans_stand_at_the_same_millisecond(admin: Admin) -> None:
    """A cursor names a scan, not a time alone: none is shown twice, and none is left out."""
    product = await store_product(admin.wires)
    now_ms = time.time_ns() // 1_000_000
    made = sorted(scan_id_at(now_ms) for _ in range(5))
    async with admin.wires.database.connection() as connection:
        for scan_id in made:
            await connection.execute(
                "INSERT INTO scan_events (scan_id, product_id, scanned_at, received_at, verdict, "
                "ip_hash, fingerprint_hash) VALUES ($1, $2, $3, now(), 'authentic', '', '')",
                UUID(scan_id),
                product.product_id,
                identifiers.time_of_ms(now_ms),
            )
    seen: list[str] = []
    cursor = ""

    async def next_page() -> bool:
        nonlocal cursor
        path = f"/v1/products/{product.product_id}/scans?limit=2{cursor}"
        page = await admin.ask("GET", path)
        seen.extend(one["scan_id"] for one in page["scans"])
        cursor = f"&cursor={page['next_cursor']}"
        return page["next_cursor"] is None

    await until(next_page, "the last page")
    assert seen == made[::-1]
