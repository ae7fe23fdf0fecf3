"""The queue of reports, as an analyst works through it."""

from __future__ import annotations

from playwright.async_api import expect

from tests.analysis import copied, goods_on
from tests.browser import chromium
from tests.desks import desk
from tests.factory_floor import token_of
from voketag import identifiers


async def test_reports_are_worked_through_one_after_another(
    redis_url: str, database_url: str
) -> None:
    async with goods_on(redis_url, database_url) as goods, chromium() as browser:
        await copied(goods)
        older = await goods.report(reason="mismatch", description=None)
        newer = await goods.report(email="ana@example.com")
        async with desk(browser, goods.admin, "analyst") as at:
            page = await at.open("/reports")
            rows = page.locator("tbody tr")
            await expect(rows).to_have_count(2)
            await expect(rows.first).to_contain_text("The logo is mirrored.")
            await rows.first.get_by_role("link", name="Counterfeit").click()
            await page.wait_for_url(f"**/reports/{newer}?status=new")
            main = page.locator("main")
            await expect(main).to_contain_text("The seller no longer answers.")
            await expect(main).to_contain_text("ana@example.com")
            await expect(main).to_contain_text("Scanned in 5 different countries.")
            await page.get_by_label("In review").check()
            await page.get_by_label("Note").fill("asked\nthe shop")
            await page.get_by_role("button", name="Save", exact=True).click()
            await expect(page.get_by_role("status")).to_contain_text("Saved as in review.")
            await page.get_by_label("Confirmed").check()
            await page.get_by_label("Note").press("Control+Enter")
            await page.wait_for_url(f"**/reports/{older}?status=new")
            await expect(main).to_contain_text("Nothing was written.")
            await page.get_by_label("Dismissed").check()
            # It is the last one: there is no next to open.
            await page.get_by_role("button", name="Save").click()
            await expect(page.get_by_role("status")).to_contain_text("Saved as dismissed.")
            await page.get_by_role("link", name="Reports").first.click()
            await expect(page.get_by_text("Nothing waits for you.")).to_be_visible()
            await page.get_by_role("link", name="Confirmed").click()
            await expect(rows).to_have_count(1)
            await at.open(f"/products/{goods.product_id}")
            reports = page.get_by_role("region", name="Fraud reports")
            await expect(reports).to_contain_text("Confirmed")
            await expect(reports).to_contain_text("Dismissed")
        listed = (await goods.admin.ask("GET", "/v1/reports"))["reports"]
        assert [(one["report_id"], one["status"], one["note"]) for one in listed] == [
            (newer, "confirmed", "asked\nthe shop"),
            (older, "dismissed", None),
        ]


async def test_a_report_of_an_unknown_product_can_be_decided(
    redis_url: str, database_url: str
) -> None:
    async with goods_on(redis_url, database_url) as goods, chromium() as browser:
        told = await goods.phone.scan(token_of(goods.admin.wires, identifiers.new_id()))
        await goods.phone.record(told["scan_id"])
        report = await goods.report(scan_id=told["scan_id"])
        async with desk(browser, goods.admin, "analyst") as at:
            page = await at.open(f"/reports/{report}")
            await expect(page.locator("main")).to_contain_text("belongs to no product")
            await page.get_by_label("Dismissed").check()
            await page.get_by_role("button", name="Save").click()
            await expect(page.locator("#states")).to_contain_text("Dismissed")


async def test_a_viewer_is_told_what_the_queue_needs(redis_url: str, database_url: str) -> None:
    async with goods_on(redis_url, database_url) as goods, chromium() as browser:
        report = await goods.report()
        async with desk(browser, goods.admin, "viewer") as at:
            for path in ("/reports", f"/reports/{report}"):
                page = await at.open(path)
                await expect(page.get_by_role("status")).to_contain_text("needs the role analyst")
                await expect(page.locator("main")).not_to_contain_text("mirrored")
            await at.open(f"/products/{goods.product_id}")
            reports = page.get_by_role("region", name="Fraud reports")
            await expect(reports).to_contain_text("Counterfeit")
            await expect(reports.get_by_role("link")).to_have_count(0)
