"""Reports through the HTTP door of ops."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.administration import UNKNOWN, Admin, admin_on
from tests.factory_floor import store_product
from voketag import events, identifiers
from voketag.events import Product
from voketag.records import reports


@pytest.fixture
async def admin(redis_url: str, database_url: str) -> AsyncIterator[Admin]:
    async with admin_on(redis_url, database_url) as opened:
        yield opened


async def _report(
    admin: Admin, product: Product, reporter: bytes, description: str = "The logo is wrong."
) -> str:
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
                description,
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
    path = f"/v1/reports/{await _report(admin, product, b'a' * 16, 'Again.')}"
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


async def test_scans_count_the_reporters_whose_reports_stand(admin: Admin) -> None:
    product = await store_product(admin.wires)
    paths = [f"/v1/reports/{await _report(admin, product, name * 16)}" for name in (b"a", b"b")]
    again = f"/v1/reports/{await _report(admin, product, b'a' * 16, 'Again.')}"
    assert await _reporters(admin, product) == 2
    await admin.ask("PATCH", again, {"status": "dismissed"})
    assert await _reporters(admin, product) == 2  # the first report of the same person stands
    await admin.ask("PATCH", paths[0], {"status": "dismissed"})
    assert await _reporters(admin, product) == 1
    await admin.ask("PATCH", paths[1], {"status": "dismissed"})
    assert await _reporters(admin, product) == 0
    await admin.ask("PATCH", paths[1], {"status": "confirmed"})
    assert await _reporters(admin, product) == 1
