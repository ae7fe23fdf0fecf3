"""The report form of the page of a code, with scripts and without."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Page

from producers.page_words import LANGUAGES, read_words
from tests.browser import chromium, violations
from tests.visitors import Place, place_on, reaches, visitor


@pytest.fixture
async def place(redis_url: str, database_url: str) -> AsyncIterator[Place]:
    async with place_on(redis_url, database_url) as opened:
        yield opened


async def opened_form(page: Page, url: str) -> None:
    """Check a product by hand, and open the report form."""
    await page.goto(url)
    await page.locator("#check button").click()
    await reaches(page, "result")
    await page.locator("#report-details summary").click()


async def stored(place: Place) -> list[Any]:
    async with place.phone.wires.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT reason, description, reporter_email FROM fraud_reports ORDER BY created_at"
        )
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_report_is_thanked_for(place: Place, scripts: bool) -> None:
    async with (
        chromium() as browser,
        visitor(browser, java_script_enabled=scripts) as context,
    ):
        page = await context.new_page()
        for language in LANGUAGES:
            token = await place.product()
            report = read_words()[language].told["report"]
            await opened_form(page, f"{place.url}/r/{token}?lang={language}")
            await page.select_option("#reason", "mismatch")
            await page.fill("#description", "<b>Sole</b> & laces é")
            await page.fill("#email", f"{language}@b.example")
            await page.click("#report-send")
            await page.locator("#thanks").wait_for()
            assert report["thanks_text"] in await page.inner_text("#thanks")
            assert not await page.locator("#report").is_visible()
            if scripts:
                assert await page.evaluate("document.activeElement.id") == "thanks-title"
                assert await violations(page) == []
    assert await stored(place) == [
        ("mismatch", "<b>Sole</b> & laces é", f"{language}@b.example") for language in LANGUAGES
    ]


async def test_what_is_wrong_with_a_report_is_said_in_words(place: Place) -> None:
    token = await place.product()
    faults = read_words()["pt"].told["report"]["faults"]
    async with chromium() as browser, visitor(browser) as context:
        page = await context.new_page()
        await opened_form(page, f"{place.url}/r/{token}?lang=pt")
        for email, reason, field in (("", "", "reason"), ("nobody", "other", "email")):
            await page.select_option("#reason", reason)
            await page.fill("#email", email)
            await page.click("#report-send")
            assert await page.inner_text("#report-fault") == faults[field]
            assert await page.locator(f"#{field}").get_attribute("aria-invalid") == "true"
            assert await page.evaluate("document.activeElement.id") == field
            assert await violations(page) == []
        await page.fill("#email", "")
        await context.set_offline(True)
        await page.click("#report-send")
        await page.get_by_text(faults["offline"]).wait_for()
        await context.set_offline(False)
        await page.click("#report-send")
        await page.locator("#thanks").wait_for()
    assert await stored(place) == [("other", None, None)]


async def test_a_refused_report_without_scripts_keeps_what_was_written(place: Place) -> None:
    token = await place.product()
    faults = read_words()["es"].told["report"]["faults"]
    data = {"form": "report", "lang": "es", "description": '"><b>x</b>', "email": "nobody"}
    for more, fault in (({}, "reason"), ({"reason": "other"}, "email")):
        async with place.phone.session.post(f"/r/{token}", data={**data, **more}) as response:
            assert response.status == 422
            text = await response.text()
        async with (
            chromium() as browser,
            visitor(browser, java_script_enabled=False) as context,
        ):
            page = await context.new_page()
            await page.set_content(text)
            assert await page.inner_text("#report-fault") == faults[fault]
            assert await page.input_value("#description") == data["description"]
            assert await page.input_value("#email") == "nobody"
            assert await page.input_value("#reason") == more.get("reason", "")
            assert await page.locator(f"#{fault}").get_attribute("aria-invalid") == "true"
    assert await stored(place) == []


async def test_a_report_of_no_product_or_one_too_many_is_said_so(
    redis_url: str, database_url: str
) -> None:
    async with place_on(redis_url, database_url, SCAN_RATE_LIMIT="1") as place:
        token = await place.token_for("not_recognised")
        faults = read_words()["en"].told["report"]["faults"]
        for status, said in ((404, faults["unknown"]), (429, faults["limited"].partition("{")[0])):
            data = {"form": "report", "lang": "en", "reason": "other"}
            async with place.phone.session.post(f"/r/{token}", data=data) as response:
                assert response.status == status
                assert said in await response.text()
    # A description of the longest that is accepted, in the most bytes that a form makes of it.
    async with place_on(redis_url, database_url) as place:
        token = await place.product()
        data = {"form": "report", "reason": "other", "description": "\U0001f45f" * 2000}
        async with place.phone.session.post(f"/r/{token}", data=data) as response:
            assert response.status == 200
        assert await stored(place) == [("other", data["description"], None)]
