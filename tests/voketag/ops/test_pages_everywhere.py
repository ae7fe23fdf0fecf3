"""What holds on every page of analysts and administrators: anybody can use it, whatever they see
and use it with, and whatever stands in a name is shown as text.
"""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.analysis import Goods, copied, goods_on
from tests.browser import DESKTOP, PHONE, chromium, violations
from tests.desks import Desk, desk
from tests.test_pages import HOSTILE


async def paths_of(goods: Goods) -> list[str]:
    """Every page with something to show on it."""
    report = await goods.report()
    return [
        "/factories",
        f"/factories/{goods.erp.factory_id}",
        "/batches",
        f"/batches/{goods.batch_id}",
        "/products",
        f"/products?q={goods.token}",
        f"/products/{goods.product_id}",
        "/reports",
        f"/reports/{report}",
        "/statistics",
        "/operators",
        "/audit",
    ]


async def fits(page: Page) -> bool:
    """Whether nothing has to be scrolled sideways to but what scrolls by itself."""
    width: int = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return width <= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [PHONE, DESKTOP], ids=["phone", "desktop"])
async def test_everybody_can_use_every_page(
    redis_url: str, database_url: str, device: dict[str, Any], scheme: str
) -> None:
    async with goods_on(redis_url, database_url) as goods, chromium() as browser:
        await copied(goods)
        paths = await paths_of(goods)
        async with desk(browser, goods.admin, **device, color_scheme=scheme) as at:
            for path in paths:
                page = await at.open(path)
                assert await violations(page) == [], path
                assert await fits(page), path
            await dialogs(at, goods)


async def dialogs(at: Desk, goods: Goods) -> None:
    """Those who ask something have the same promise."""
    for path, button in (
        ("/factories", "New factory"),
        (f"/factories/{goods.erp.factory_id}", "New key"),
        (f"/batches/{goods.batch_id}", "Recall…"),
        ("/operators", "New operator"),
    ):
        page = await at.open(path)
        await page.get_by_role("button", name=button).click()
        await expect(page.get_by_role("dialog")).to_be_visible()
        assert await violations(page) == [], button
        await page.get_by_role("button", name="Cancel").click()
        await expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_name_is_text(redis_url: str, database_url: str, name: str) -> None:
    """It runs nothing, is no element, and can be read."""
    fields = {"sku": name, "name": name, "serials": [name], "attributes": {name: name}}
    async with goods_on(redis_url, database_url, **fields) as goods, chromium() as browser:
        await goods.phone.scan(goods.token)
        await goods.admin.ask("POST", "/v1/factories", {"name": name, "email": "h@h.example"}, 201)
        report = await goods.report(description=name)
        async with desk(browser, goods.admin, name=name[:100]) as at:
            for path in (
                "/factories",
                "/batches",
                f"/batches/{goods.batch_id}",
                f"/products?q={goods.token}",
                f"/products/{goods.product_id}",
                "/reports",
                f"/reports/{report}",
                "/operators",
                "/audit",
            ):
                page = await at.open(path)
                await expect(page.locator("main")).to_contain_text(name)
                assert await page.locator("main :is(script, img, iframe)").count() == 0, path
