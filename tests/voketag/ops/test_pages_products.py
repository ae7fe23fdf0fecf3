"""The pages of products: found, judged, and where they were scanned."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from playwright.async_api import expect

from tests.analysis import copied, goods_on
from tests.browser import PHONE, chromium
from tests.desks import desk
from tests.source import REPOSITORY
from voketag import identifiers
from voketag.ops import pages


async def test_a_copied_product_is_shown_with_its_score_and_its_places(
    redis_url: str, database_url: str
) -> None:
    async with goods_on(redis_url, database_url) as goods, chromium() as browser:
        await copied(goods)
        api = await goods.admin.ask("GET", f"/v1/products/{goods.product_id}")
        async with desk(browser, goods.admin, "viewer") as at:
            page = await at.open(f"/products/{goods.product_id}")
            await expect(page.locator("#states")).to_contain_text("High risk")
            risk = page.get_by_role("region", name="Reasons for the score")
            points = [reason["points"] for reason in api["score"]["reasons"]]
            shown = await risk.locator("tbody td.n").all_text_contents()
            assert shown == [f"+{one}" for one in points]
            assert await risk.locator("tfoot td").text_content() == str(min(100, sum(points)))
            for reason in api["score"]["reasons"]:
                await expect(risk).to_contain_text(reason["detail"])
            places = page.get_by_role("region", name="Scans by country")
            rows = await places.locator("tbody tr").all_text_contents()
            assert sorted(rows) == sorted(
                f"{name}220%"
                for name in ("Brazil", "Germany", "Japan", "United States", "South Africa")
            )
            picture = page.get_by_role("img", name="Map of the world")
            assert "Brazil 2" in (await picture.get_attribute("aria-label") or "")
            assert await picture.locator("circle").count() == 5
            assert "JP 2" in await picture.locator("text").all_text_contents()
            scans = page.get_by_role("region", name="Scans", exact=True).locator("tbody tr")
            await expect(scans).to_have_count(10)
            newest = await scans.first.text_content() or ""
            assert "High risk" in newest
            assert "South Africa" in newest
            proof = page.get_by_role("link", name="Download the proof")
            async with page.expect_download() as download:
                await proof.click()
            assert (await download.value).suggested_filename == f"proof-{goods.product_id}.json"


async def test_scans_come_in_pages(redis_url: str, database_url: str) -> None:
    async with goods_on(redis_url, database_url) as goods, chromium() as browser:
        for number in range(51):
            told = await goods.phone.scan(goods.token, device={"install_id": str(number)})
        await goods.phone.record(told["scan_id"])
        async with desk(browser, goods.admin, "viewer", **PHONE) as at:
            page = await at.open(f"/products/{goods.product_id}")
            rows = page.get_by_role("region", name="Scans", exact=True).locator("tbody tr")
            await expect(rows).to_have_count(50)
            await page.get_by_role("link", name="Next page").click()
            await expect(rows).to_have_count(1)
            # A phone that says nothing of its place: unknown, and no zero.
            await expect(rows).to_contain_text("unknown")
            await expect(page.get_by_role("region", name="Scans by country")).to_contain_text(
                "unknown51"
            )


async def test_a_product_is_found_by_what_is_printed_on_it(
    redis_url: str, database_url: str
) -> None:
    async with goods_on(redis_url, database_url, serials=["A-1", "A-2"]) as goods:
        product_id = str(goods.product_id)
        admin = goods.admin
        async with chromium() as browser, desk(browser, admin, "viewer") as at:
            page = await at.open("/products")
            field = page.get_by_label("Find a product")
            await expect(field).to_be_focused()
            url = f"{admin.wires.settings.public_url}/r/{goods.token}"
            for text in (product_id, goods.token.lower(), url):
                await field.fill(text)
                await page.keyboard.press("Enter")
                await at.shown()
                found = page.get_by_role("link", name="A-1")
                assert await found.get_attribute("href") == f"/products/{product_id}"
            await field.fill(str(identifiers.new_id()))
            await page.keyboard.press("Enter")
            await expect(page.get_by_text("No product is known by this.")).to_be_visible()
            await field.fill("A-1")
            await page.keyboard.press("Enter")
            await expect(page.get_by_text("This names no product by itself.")).to_be_visible()
            at.expected("422")
            await at.open(f"/products?batch_id={goods.batch_id}&q=A-2")
            await expect(page.get_by_role("link", name="A-2")).to_be_visible()


async def test_a_product_nobody_scanned_says_what_would_be_there(
    redis_url: str, database_url: str
) -> None:
    async with goods_on(redis_url, database_url) as goods, chromium() as browser:
        async with desk(browser, goods.admin, "analyst") as at:
            page = await at.open(f"/products/{goods.product_id}")
            await expect(page.locator("#states")).to_contain_text("Not scanned yet")
            await expect(page.get_by_text("Nobody has scanned it yet.")).to_be_visible()
            await expect(page.get_by_text("Nobody has reported it.")).to_be_visible()
            await expect(page.locator("main")).to_contain_text(f"/r/{goods.token}")
        async with desk(browser, goods.admin, "viewer") as at:
            page = await at.open(f"/products/{goods.product_id}")
            await expect(page.locator("main")).not_to_contain_text(f"/r/{goods.token}")


def test_the_land_of_the_map_is_drawn_from_its_source() -> None:
    node = shutil.which("node") or str(Path(sys.executable).with_name("node"))
    drawn = subprocess.run(
        [node, str(pages.FOLDER / "world.mjs")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert drawn.stdout == (pages.FOLDER / "world.js").read_text(encoding="utf-8")
