"""The pages of factories and batches: from a factory's first key to the recall of its batch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import aiohttp
import pytest
from playwright.async_api import Page, expect

from consumers import register
from tests.administration import Admin, admin_on
from tests.browser import chromium
from tests.desks import Desk, desk
from tests.erp import Erp, Service, anchor, serving
from tests.factory_floor import running


@pytest.fixture
async def admin(redis_url: str, database_url: str) -> AsyncIterator[Admin]:
    async with admin_on(redis_url, database_url) as opened:
        yield opened


@pytest.fixture
async def service(redis_url: str, database_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url, database_url) as running_service:
        yield running_service


async def new_key(page: Page) -> str:
    """Read the key that is shown this once, and close what shows it."""
    shown = page.get_by_label("The new key")
    key = await shown.text_content() or ""
    await page.get_by_role("button", name="I have stored it").click()
    await expect(shown).to_have_count(0)
    return key


async def make_factory(at: Desk) -> tuple[UUID, str]:
    """Make a factory at its page; gives its id and its key."""
    page = await at.open("/factories")
    await page.get_by_role("button", name="New factory").click()
    await page.get_by_label("Name").fill("Calçados Serra")
    await page.get_by_label("E-mail").fill("erp@serra.example")
    await page.get_by_role("button", name="Make factory").click()
    key = await new_key(page)
    await page.wait_for_url("**/factories/*-*")
    return UUID(page.url.rpartition("/")[2]), key


async def test_from_a_new_factory_to_the_recall_of_its_batch(
    admin: Admin, service: Service
) -> None:
    async with (
        chromium() as browser,
        desk(browser, admin) as at,
        aiohttp.ClientSession(f"http://127.0.0.1:{service.port}") as session,
    ):
        factory_id, key = await make_factory(at)
        erp = Erp(session, service.wires, factory_id, key)
        batch_id = await erp.create(name="Running shoe", sku="SHOE-42", product_count=3)
        page = await at.open("/batches?status=pending")
        await page.get_by_role("link", name="Running shoe").click()
        await expect(page.locator(".step.now h3")).to_contain_text("Stored")
        async with running(service.wires, register.build(service.wires)):
            # The page follows by itself.
            await expect(page.locator(".step.done h3").nth(1)).to_contain_text("Stored")
        await anchor(service.wires, batch_id, "final")
        await expect(page.locator(".step.done")).to_have_count(4)
        await expect(page.locator("main")).to_contain_text("Block 7")
        await recall(page)
        await expect(page.locator("#states")).to_contain_text("Recalled")
        await expect(page.get_by_role("alert")).to_contain_text("Glue fails in the cold")
        assert (await erp.batch(batch_id))["recall_reason"] == "Glue fails in the cold"
        serial = await first_serial(erp, batch_id)
        await page.get_by_label("Find one of them").fill(serial)
        await page.get_by_role("button", name="Find").click()
        await page.get_by_role("link", name=serial).click()
        await expect(page.locator("#states")).to_contain_text("Recalled")
        await expect(page.get_by_role("alert")).to_contain_text("Glue fails in the cold")
        await at.open("/audit?action=batch.recall")
        await expect(page.locator("tbody tr")).to_have_count(1)
        await expect(page.locator("tbody")).to_contain_text("Glue fails in the cold")


async def recall(page: Page) -> None:
    """Recall the batch that a page shows; it is not done before it is confirmed in full."""
    await page.get_by_role("button", name="Recall…").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Reason").fill("Glue fails in the cold")
    confirmation = dialog.get_by_label("Confirmation")
    await confirmation.fill("SHOE-4")
    await dialog.get_by_role("button", name="Recall batch").click()
    assert not await confirmation.evaluate("input => input.checkValidity()")
    await expect(dialog).to_be_visible()
    await confirmation.fill("SHOE-42")
    await dialog.get_by_role("button", name="Recall batch").click()
    await expect(dialog).to_have_count(0)


async def first_serial(erp: Erp, batch_id: UUID) -> str:
    exported = await erp.get(f"/v1/batches/{batch_id}/products", Accept="text/csv")
    return exported.raw.decode().splitlines()[1].split(",")[1]


async def test_a_recall_thought_better_of_is_none(admin: Admin, service: Service) -> None:
    erp = await service.erp()
    batch_id = await erp.create_stored(product_count=1)
    async with chromium() as browser, desk(browser, admin) as at:
        page = await at.open(f"/batches/{batch_id}")
        await page.get_by_role("button", name="Recall…").click()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
    assert (await erp.batch(batch_id))["recalled_at"] is None


async def test_keys_are_made_with_an_end_and_revoked(admin: Admin, service: Service) -> None:
    async with chromium() as browser, desk(browser, admin) as at:
        factory_id, _ = await make_factory(at)
        page = at.page
        last_day = (datetime.now(UTC) + timedelta(days=30)).date()
        await page.get_by_role("button", name="New key").click()
        await page.get_by_label("Last day (optional)").fill(last_day.isoformat())
        await page.get_by_role("button", name="Make key").click()
        key = await new_key(page)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{service.port}") as session:
            erp = Erp(session, service.wires, factory_id, key)
            assert (await erp.get("/v1/batches")).status == 200
            keys = (await admin.ask("GET", f"/v1/factories/{factory_id}"))["keys"]
            assert [one["expires_at"] for one in keys] == [None, f"{last_day}T23:59:59Z"]
            row = page.locator("tr", has_text=keys[1]["prefix"])
            await row.get_by_role("button").click()
            await page.get_by_role("button", name="Revoke key").click()
            await expect(row).to_contain_text("Revoked")
            assert (await erp.get("/v1/batches")).status == 401
        # A key is nowhere once it was shown.
        assert key not in await page.content()


async def test_what_the_server_refuses_is_said_in_the_dialog(admin: Admin) -> None:
    await admin.factory(email="erp@serra.example")
    async with chromium() as browser, desk(browser, admin) as at:
        page = await at.open("/factories")
        await page.get_by_role("button", name="New factory").click()
        await page.get_by_label("Name").fill("Another")
        await page.get_by_label("E-mail").fill("erp@serra.example")
        await page.get_by_role("button", name="Make factory").click()
        await expect(page.get_by_role("dialog").get_by_role("alert")).to_be_visible()
        at.expected("409")
    assert len((await admin.ask("GET", "/v1/factories"))["factories"]) == 1


async def test_filters_stand_in_the_url_and_batches_come_in_pages(
    admin: Admin, service: Service
) -> None:
    erp, other = await service.erp(), await service.erp()
    for number in range(51):
        await erp.create(name=f"Shoe {number}", product_count=1)
    await other.create(name="Bag", product_count=1)
    async with chromium() as browser, desk(browser, admin) as at:
        page = await at.open(f"/batches?factory_id={erp.factory_id}")
        rows = page.locator("tbody tr")
        await expect(rows).to_have_count(50)
        await page.get_by_role("link", name="Next page").click()
        await expect(rows).to_have_count(1)
        await expect(rows).to_contain_text("Shoe 0")
        await page.get_by_label("Factory").select_option(str(other.factory_id))
        await expect(rows).to_have_count(1)
        await expect(rows).to_contain_text("Bag")
        assert page.url.endswith(f"?factory_id={other.factory_id}")
        await page.get_by_label("Status").select_option("failed")
        await expect(page.get_by_text("No batch is like this.")).to_be_visible()
        await page.get_by_role("button", name="Clear").click()
        await expect(rows).to_have_count(50)
        await page.get_by_label("Accepted since").fill("2999-01-01")
        await expect(page.get_by_text("No batch is like this.")).to_be_visible()
        await at.open("/batches/01890000-0000-7000-8000-000000000000")
        await expect(page.get_by_role("alert")).to_contain_text("no batch")
        at.expected("404")
