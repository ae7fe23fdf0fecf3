"""What becomes of a report: from who files it, through who looks into it, to what the next person
who scans the product is told.
"""

from __future__ import annotations

import contextlib
import random
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from consumers.maintain import Maintenance
from tests.administration import Admin, admin_on
from tests.cutting_proxy import cutting_proxy
from tests.factory_floor import store_product, token_of
from tests.phones import Phone, phone_on
from voketag import events
from voketag.events import Product
from voketag.redis.intake import product_tag, reporters_key

PROXY = {"TRUSTED_PROXIES": "127.0.0.1/32"}
PEOPLE = ("198.51.100.1", "198.51.100.2", "203.0.113.3")
REASONS = ("counterfeit", "stolen")
STATUSES = ("new", "in_review", "confirmed", "dismissed")


@dataclass
class Case:
    """A product, those who report and scan it, and whoever looks into the reports."""

    admin: Admin
    phone: Phone
    product: Product
    reports: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def token(self) -> str:
        return token_of(self.phone.wires, self.product.product_id)

    async def report(self, person: str, reason: str = "counterfeit", status: int = 202) -> None:
        """Somebody reports the product, for the first time or again."""
        body = {"token": self.token, "reason": reason}
        headers = {"X-Forwarded-For": person}
        answered, told, _ = await self.phone.post("/v1/reports", body, headers=headers)
        assert answered == status, told
        if status == 202:
            known = self.reports.setdefault((person, reason), told["report_id"])
            assert told["report_id"] == known

    async def review(self, person: str, status: str, reason: str = "counterfeit") -> None:
        report_id = self.reports[person, reason]
        await self.admin.ask("PATCH", f"/v1/reports/{report_id}", {"status": status})

    async def reporters(self) -> int:
        """How many people are said to have reported it, to one who scans it."""
        answer = await self.phone.scan(self.token)
        said = [one for one in answer["risk"]["reasons"] if one["code"] == "reported"]
        if not said:
            return 0
        (reason,) = said
        number = re.search(r"by (one|\d+)", reason["detail"])
        assert number is not None
        return 1 if number[1] == "one" else int(number[1])

    async def forget(self) -> None:
        """Redis loses who reported the product, and keeps the product itself."""
        shard = events.shard_of(self.product.product_id, self.phone.wires.settings.shards)
        key = reporters_key(product_tag(shard, self.product.product_id))
        await self.phone.wires.streams.redis.delete(key)

    async def reconcile(self) -> None:
        await Maintenance(self.phone.wires).reconcile_reports()


@contextlib.asynccontextmanager
async def reported_on(redis_url: str, scan_url: str, ops_url: str) -> AsyncIterator[Case]:
    async with (
        phone_on(redis_url, scan_url, **PROXY) as phone,
        admin_on(redis_url, ops_url) as admin,
    ):
        yield Case(admin, phone, await store_product(phone.wires))


@pytest.fixture
async def case(redis_url: str, database_url: str) -> AsyncIterator[Case]:
    async with reported_on(redis_url, database_url, database_url) as opened:
        yield opened


async def test_a_report_counts_until_it_is_dismissed(case: Case) -> None:
    first, second, _ = PEOPLE
    await case.report(first)
    await case.report(second)
    assert await case.reporters() == 2
    await case.review(first, "in_review")
    assert await case.reporters() == 2
    await case.review(first, "dismissed")
    assert await case.reporters() == 1
    await case.report(first)  # the same report again, sent by whoever heard no answer
    assert await case.reporters() == 1
    await case.review(first, "confirmed")
    assert await case.reporters() == 2
    await case.report(first, "stolen")  # one person, however often
    assert await case.reporters() == 2
    await case.review(first, "dismissed", "stolen")
    assert await case.reporters() == 2  # the one that was confirmed stands


async def test_a_confirmed_report_counts_for_good_and_a_dismissed_one_never_again(
    case: Case,
) -> None:
    first, second, _ = PEOPLE
    await case.report(first)
    await case.report(second)
    await case.review(first, "confirmed")
    await case.review(second, "dismissed")
    for lose in (case.forget, case.phone.wires.streams.redis.flushall):
        assert await case.reporters() == 1
        await lose()
        await case.reconcile()
        assert await case.reporters() == 1
    await case.reconcile()
    assert await case.reporters() == 1


async def test_a_review_that_redis_did_not_hear_of_is_told_by_maintain(
    redis_url: str, database_url: str
) -> None:
    """The answer was that a server is not there, and nobody asked again."""
    async with (
        cutting_proxy(redis_url) as (proxy, url),
        phone_on(redis_url, database_url, **PROXY) as phone,
        admin_on(url, database_url) as admin,
    ):
        case = Case(admin, phone, await store_product(phone.wires))
        first, second, third = PEOPLE
        await case.report(first)
        await case.report(second)
        assert await case.reporters() == 2
        await proxy.close()
        path = f"/v1/reports/{case.reports[first, 'counterfeit']}"
        proxy.freezes_new = True
        await admin.ask("PATCH", path, {"status": "dismissed"}, 503)
        await case.reconcile()
        assert await case.reporters() == 1
        proxy.freezes_new = False
        await case.report(third)
        assert await case.reporters() == 2


async def test_whatever_is_done_in_whatever_order_scans_count_who_stands(case: Case) -> None:
    """Against a model: a person counts who has a report that was not dismissed."""
    chance = random.Random(20_261)
    model: dict[tuple[str, str], str] = {}
    for _ in range(60):
        person, reason = chance.choice(PEOPLE), chance.choice(REASONS)
        match chance.choice(("report", "review", "review", "lose")):
            case "review" if (person, reason) in model:
                model[person, reason] = chance.choice(STATUSES)
                await case.review(person, model[person, reason], reason)
            case "lose":
                await case.forget()
                await case.reconcile()
            case _:
                model.setdefault((person, reason), "new")
                await case.report(person, reason)
        standing = {person for (person, _), status in model.items() if status != "dismissed"}
        assert await case.reporters() == len(standing), model


async def test_the_queue_names_what_was_reported(case: Case) -> None:
    await case.report(PEOPLE[0])
    (report,) = (await case.admin.ask("GET", "/v1/reports?status=new"))["reports"]
    product = case.product
    named: dict[str, Any] = {
        "product_id": str(product.product_id),
        "serial": "S1",
        "batch_id": str(product.batch_id),
        "sku": "SHOE-42",
        "name": "Running shoe",
        "factory_id": str(product.factory_id),
        "factory_name": "F",
    }
    assert named.items() <= report.items()
    path = f"/v1/reports/{report['report_id']}"
    assert await case.admin.ask("GET", path) == report
    changed = await case.admin.ask("PATCH", path, {"status": "confirmed"})
    assert named.items() <= changed.items()
    of_product = f"/v1/reports?product_id={product.product_id}"
    assert len((await case.admin.ask("GET", of_product))["reports"]) == 1
    of_another = f"/v1/reports?product_id={product.batch_id}"
    assert (await case.admin.ask("GET", of_another))["reports"] == []
