"""The pages of operators and of the audit log, and what each role finds closed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import expect

from tests.administration import Admin, admin_on
from tests.browser import chromium
from tests.desks import desk, sign_in
from tests.erp import serving


@pytest.fixture
async def admin(redis_url: str, database_url: str) -> AsyncIterator[Admin]:
    async with admin_on(redis_url, database_url) as opened:
        yield opened


async def test_an_operator_is_made_signs_in_and_is_revoked(admin: Admin) -> None:
    async with chromium() as browser, desk(browser, admin, name="Ana") as ana:
        page = await ana.open("/operators")
        await page.get_by_role("button", name="New operator").click()
        await page.get_by_label("Name").fill("Mei Lin")
        await page.get_by_label("Analyst").check()
        await page.get_by_role("button", name="Make operator").click()
        key = await page.get_by_label("The new key").text_content() or ""
        await page.get_by_role("button", name="I have stored it").click()
        row = page.locator("tr", has_text="Mei Lin")
        await expect(row).to_contain_text("analyst")
        async with desk(browser, admin, "viewer") as mei:
            await mei.page.get_by_role("button", name="Sign out").click()
            await mei.page.wait_for_url("**/sign-in*")
            await sign_in(mei, key)
            await expect(mei.page.locator(".who")).to_contain_text("Mei Lin")
            await mei.open("/reports")
            await expect(mei.page.get_by_text("Nothing waits for you.")).to_be_visible()
            await row.get_by_role("button", name="Revoke Mei Lin").click()
            await page.get_by_role("button", name="Revoke operator").click()
            await expect(row).to_contain_text("Revoked")
            await mei.page.goto(mei.url + "/reports")
            await mei.page.wait_for_url("**/sign-in?next=%2Freports")
            mei.expected("401")
        await ana.open("/audit?actor=Ana")
        entries = page.locator("tbody tr")
        await expect(entries).to_have_count(3)
        assert [
            await entry.locator("td").nth(1).text_content() for entry in await entries.all()
        ] == ["Revoked an operator", "Made an operator", "Signed in"]
        await page.get_by_label("Did what").select_option("operator.create")
        await expect(entries).to_have_count(1)
        await expect(entries).to_contain_text("Mei Lin")
        await page.get_by_label("Who").fill("Nobody")
        await page.get_by_label("Who").press("Enter")
        await expect(page.get_by_text("Nothing like this was done.")).to_be_visible()
        assert key not in await page.content()


async def test_what_a_role_cannot_do_is_there_and_says_why(
    admin: Admin, redis_url: str, database_url: str
) -> None:
    async with serving(redis_url, database_url) as service:
        erp = await service.erp()
        batch_id = await erp.create(product_count=1)
    async with chromium() as browser:
        for role in ("viewer", "analyst"):
            async with desk(browser, admin, role) as at:
                for path, button in (
                    ("/factories", "New factory"),
                    (f"/factories/{erp.factory_id}", "New key"),
                    (f"/batches/{batch_id}", "Recall…"),
                ):
                    page = await at.open(path)
                    await expect(page.get_by_role("button", name=button)).to_be_disabled()
                    await expect(page.locator("main")).to_contain_text("Only an admin can")
                for path in ("/operators", "/audit"):
                    page = await at.open(path)
                    await expect(page.get_by_role("status")).to_contain_text("needs the role admin")
