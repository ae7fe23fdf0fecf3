"""What holds on every page of analysts and administrators: anybody can use it, whatever they see
and use it with, and whatever stands in a name is shown as text.
"""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.administration import operator
from tests.analysis import Goods, copied, goods_on
from tests.browser import DESKTOP, PHONE, chromium, violations_in_both_schemes
from tests.desks import Desk, desk
from tests.factory_floor import token_of
from tests.test_pages import HOSTILE
from voketag import identifiers


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


@pytest.mark.parametrize("device", [PHONE, DESKTOP], ids=["phone", "desktop"])
async def test_everybody_can_use_every_page(
    redis_url: str, database_url: str, device: dict[str, Any]
) -> None:
    async with goods_on(redis_url, database_url) as goods, chromium() as browser:
        await copied(goods)
        paths = await paths_of(goods)
        async with desk(browser, goods.admin, **device) as at:
            for path in paths:
                page = await at.open(path)
                assert await fits(page), path
                assert await violations_in_both_schemes(page) == [], path
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
        assert await violations_in_both_schemes(page) == [], button
        await page.get_by_role("button", name="Cancel").click()
        await expect(page.get_by_role("dialog")).to_have_count(0)


async def test_a_hostile_name_is_text(redis_url: str, database_url: str) -> None:
    """It runs nothing, is no element, and can be read."""
    async with goods_on(redis_url, database_url) as goods, chromium() as browser:
        shown: dict[str, list[str]] = {}
        for number, name in enumerate(HOSTILE):
            fields = {"sku": name, "name": name, "attributes": {name: name}}
            batch_id = await goods.erp.create_stored(serials=[name], **fields)
            token = token_of(goods.admin.wires, identifiers.product_id(batch_id, 0))
            await goods.phone.scan(token)
            report = await goods.report(token=token, description=name)
            factory = {"name": name, "email": f"{number}@h.example"}
            await goods.admin.ask("POST", "/v1/factories", factory, 201)
            await operator(goods.admin, "viewer", name)
            products = f"/products?q={token}"
            shown |= {path: [name] for path in (f"/batches/{batch_id}", products)}
            product = f"/products/{identifiers.product_id(batch_id, 0)}"
            shown |= {path: [name] for path in (product, f"/reports/{report}")}
        lists = ("/factories", "/batches", "/reports", "/operators", "/audit")
        shown |= {path: list(HOSTILE) for path in lists}
        async with desk(browser, goods.admin) as at:
            for path, names in shown.items():
                page = await at.open(path)
                for name in names:
                    await expect(page.locator("main")).to_contain_text(name)
                assert await page.locator("main :is(script, img, iframe)").count() == 0, path
