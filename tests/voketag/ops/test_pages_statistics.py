"""The page of statistics: its charts, its table and its file say the same."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from playwright.async_api import Page, expect

from tests.administration import Admin, admin_on
from tests.browser import PHONE, chromium
from tests.desks import desk

COUNTS = ("authentic", "suspicious", "high_risk", "recalled", "not_recognised")


@pytest.fixture
async def admin(redis_url: str, database_url: str) -> AsyncIterator[Admin]:
    async with admin_on(redis_url, database_url) as opened:
        yield opened


async def keep(admin: Admin, day: date, factory_id: str, *counts: int) -> None:
    """Statistics of a day as they would have been kept; the risk of a scan is 10."""
    scans = sum(counts)
    known = scans - counts[-1]
    async with admin.wires.database.connection() as connection:
        await connection.execute(
            "INSERT INTO scan_stats_daily VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            day,
            UUID(factory_id),
            scans,
            known,
            known * 10,
            *counts,
        )


async def table_of(page: Page) -> list[list[str]]:
    """The rows of the table by day, the oldest first."""
    region = page.get_by_role("region", name="Scans by day")
    rows = region.locator("tbody tr")
    found = [await row.locator("th, td").all_text_contents() for row in await rows.all()]
    return found[::-1]


def rows_of(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))


def as_shown(row: dict[str, str]) -> list[str]:
    """A row of the file as the table shows it."""
    day = date.fromisoformat(row["day"])
    risk = row["avg_risk_score"]
    numbers = [f"{int(row[name]):,}" for name in ("scans", "unique_products")]
    verdicts = [f"{int(row[name]):,}" for name in COUNTS]
    shown = f"{float(risk):.1f}" if risk else "unknown"
    return [f"{day.day} {day:%b %Y}", *numbers, shown, *verdicts]


async def test_the_file_is_what_the_table_shows(admin: Admin) -> None:
    today = datetime.now(UTC).date()
    first, other = [(await admin.factory(f"F{n}", f"f{n}@f.example"))["factory_id"] for n in (1, 2)]
    await keep(admin, today, first, 1200, 30, 7, 0, 0)
    await keep(admin, today - timedelta(days=2), first, 5, 0, 0, 1, 0)
    await keep(admin, today - timedelta(days=2), other, 90, 0, 3, 0, 0)
    nobody = "00000000-0000-0000-0000-000000000000"
    await keep(admin, today - timedelta(days=3), nobody, 0, 0, 0, 0, 4)
    async with chromium() as browser, desk(browser, admin, "viewer") as at:
        page = await at.open("/statistics")
        for days, factory_id in ((30, ""), (7, ""), (7, first)):
            await page.get_by_role("button", name=f"{days} days").click()
            await page.get_by_label("Factory").select_option(factory_id)
            await at.shown()
            await expect(page.locator("tbody tr th").first).to_have_text(
                f"{today.day} {today:%b %Y}"
            )
            await expect(
                page.get_by_role("region", name="Scans by day").locator("tbody tr")
            ).to_have_count(days)
            async with page.expect_download() as download:
                await page.get_by_role("link", name="Download CSV").click()
            file = rows_of(await (await download.value).path())
            assert [as_shown(row) for row in file] == await table_of(page)
            expected = {"": 1237 + 6 + 93 + 4, first: 1237 + 6}[factory_id]
            assert sum(int(row["scans"]) for row in file) == expected
        await at.open(page.url.removeprefix(at.url))  # the URL says it all
        assert [as_shown(row) for row in file] == await table_of(page)


async def test_charts_are_drawn_and_follow_the_pointer(admin: Admin) -> None:
    today = datetime.now(UTC).date()
    factory_id = (await admin.factory())["factory_id"]
    await keep(admin, today, factory_id, 1200, 30, 7, 1, 0)
    async with chromium() as browser:
        for device in ({}, PHONE):
            async with desk(browser, admin, "viewer", **device) as at:
                page = await at.open("/statistics")
                chart = page.get_by_role("img", name="Scans by verdict.")
                await expect(chart.locator("canvas")).to_be_visible()
                box = await chart.locator(".u-over").bounding_box()
                assert box is not None
                await page.mouse.move(box["x"] + box["width"] - 8, box["y"] + 40)
                legend = page.locator(".chart-figure").first.get_by_role("list")
                await expect(legend).to_contain_text(f"{today.day} {today:%b %Y}")
                await expect(legend).to_contain_text("Authentic 1,200")


async def test_a_range_that_is_none_is_refused_in_words(admin: Admin) -> None:
    async with chromium() as browser, desk(browser, admin, "viewer") as at:
        page = await at.open("/statistics?from=2026-05-02&to=2026-05-01")
        await expect(page.get_by_role("status")).to_contain_text("after the last one")
        await page.get_by_role("button", name="7 days").click()
        await expect(page.get_by_role("region", name="Scans by day")).to_be_visible()
