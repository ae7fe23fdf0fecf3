"""What the page of a code says: every verdict, in every language, to everybody, with the same words
whether a script or the server says it; and what it says where a scan is not answered.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Page

from producers.page_answers import result_slots
from producers.page_words import LANGUAGES, read_words
from tests.browser import DESKTOP, PHONE, SCHEMES, chromium, violations
from tests.factory_floor import store_product, token_of
from tests.servers import Servers
from tests.test_pages import HOSTILE
from tests.visitors import (
    NOT_DRIVEN,
    VERDICTS,
    Place,
    faults_of,
    place_on,
    reaches,
    settled,
    visitor,
)
from voketag import identifiers
from voketag.events import Reason
from voketag.risk.history import REMEMBERED_COUNTRIES
from voketag.scans.answers import HistoryAnswer, ProductAnswer, RiskAnswer, ScanAnswer

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def place(redis_url: str, database_url: str) -> AsyncIterator[Place]:
    async with place_on(redis_url, database_url) as opened:
        yield opened


async def words_of(page: Page) -> str:
    """All that a page shows, and its title."""
    return f"{await page.title()}\n{await page.inner_text('body')}"


async def served(place: Place, token: str, reference: str, language: str) -> str:
    """The page that answers the form for a scan that was made already."""
    data = f"scan_id={reference}&lang={language}"
    async with place.phone.session.post(f"/r/{token}", data=data, headers=FORM) as response:
        assert response.status == 200
        return await response.text()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("verdict", VERDICTS)
async def test_a_verdict_for_everybody(place: Place, verdict: str) -> None:
    """One visit, looked at in each language, size and scheme; the server says what the script
    says.
    """
    token = await place.token_for(verdict)
    async with (
        chromium(**NOT_DRIVEN) as browser,
        visitor(browser) as context,
        visitor(browser, java_script_enabled=False) as without_scripts,
    ):
        page, plain = await context.new_page(), await without_scripts.new_page()
        faults = faults_of(page)
        for language in LANGUAGES:
            told = read_words()[language].told["verdicts"][verdict]
            await page.goto(f"{place.url}/r/{token}?lang={language}")
            await reaches(page, "result")
            assert await page.locator("html").get_attribute("lang") == language
            assert await page.inner_text("#verdict-title") == told["title"]
            announced = f"{told['title']}. {told['summary']}"
            assert await page.inner_text("#announcer") == announced
            reference = await page.inner_text("#reference")
            if verdict == "not_recognised":  # no scan of it is stored, so each answer has its own
                assert not await page.locator("#report").is_visible()
            else:
                await plain.set_content(await served(place, token, reference, language))
                said = (await words_of(page)).replace(announced, "", 1)
                assert said.split() == (await words_of(plain)).split()
                await page.locator("#report-details").evaluate("(one) => { one.open = true }")
            for size in (PHONE, DESKTOP):
                await page.set_viewport_size(size["viewport"])
                for scheme, rules in SCHEMES.items():
                    await page.emulate_media(color_scheme=scheme)
                    await settled(page)
                    assert await violations(page, *rules) == [], (language, scheme)
                assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert faults == []


async def test_the_numbers_of_a_copied_code_are_told(place: Place) -> None:
    token = await place.token_for("high_risk")
    async with chromium(**NOT_DRIVEN) as browser, visitor(browser) as context:
        page = await context.new_page()
        await page.goto(f"{place.url}/r/{token}")
        await reaches(page, "result")
        known = await page.inner_text("#known-list")
        assert "Scanned 11 times in 5 countries, this scan included." in known
        assert "First scanned on" in known


async def test_hostile_names_are_text_for_both(place: Place) -> None:
    async with (
        chromium(**NOT_DRIVEN) as browser,
        visitor(browser) as context,
        visitor(browser, java_script_enabled=False) as without_scripts,
    ):
        page, plain = await context.new_page(), await without_scripts.new_page()
        faults = faults_of(page)
        page.on("dialog", lambda dialog: faults.append(dialog.message))
        for name in HOSTILE:
            token = await named(place, name)
            await page.goto(f"{place.url}/r/{token}")
            await reaches(page, "result")
            html = await served(place, token, await page.inner_text("#reference"), "en")
            assert name not in html or "<" not in name
            await plain.set_content(html)
            for where in ("#product-name", "#product-serial", "#product-sku"):
                assert await page.inner_text(where) == name
                assert await plain.inner_text(where) == name
        assert faults == []


async def named(place: Place, name: str) -> str:
    """The token of a product that is called so in every way."""
    product = await store_product(place.phone.wires)
    async with place.phone.wires.database.connection() as connection:
        await connection.execute(
            "UPDATE batches SET name = $1, sku = $1 WHERE batch_id = $2", name, product.batch_id
        )
        await connection.execute(
            "UPDATE products SET serial = $1 WHERE product_id = $2", name, product.product_id
        )
    return token_of(place.phone.wires, product.product_id)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_not_known_and_what_is_new_has_words(language: str) -> None:
    """A product without a date, a reason of a later version, more countries than are counted."""
    words = read_words()[language]
    first = identifiers.time_of_ms(0)
    answer = ScanAnswer(
        scan_id=identifiers.new_id(),
        verdict="suspicious",
        product=ProductAnswer(
            identifiers.new_id(), identifiers.new_id(), "S", "N", "1", manufactured_at=None
        ),
        risk=RiskAnswer(40, "medium", (Reason("later_rule", 40, "Unheard of."),)),
        history=HistoryAnswer(1234, first, ("BR",) * REMEMBERED_COUNTRIES),
    )
    slots = result_slots(words, answer)
    assert slots["product.made"] == words.told["not_stated"]
    assert words.told["reasons"]["unknown"] in slots["known"]
    assert words.told["countries_at_least"].format(n=REMEMBERED_COUNTRIES) in slots["known"]
    assert words.many(words.told["times"], 1234) in slots["known"]


# ---------------------------------------------------------------------- not answered


async def press(page: Page) -> None:
    await page.locator("#check button").click()


async def test_too_many_checks_are_told_and_wait(redis_url: str, database_url: str) -> None:
    async with place_on(redis_url, database_url, SCAN_RATE_LIMIT="1") as place:
        token = await place.product()
        await place.phone.scan(token)
        async with chromium() as browser:
            for scripts in (True, False):
                async with visitor(browser, java_script_enabled=scripts) as context:
                    page = await context.new_page()
                    await page.goto(f"{place.url}/r/{token}?lang=en")
                    await press(page)
                    await reaches(page, "problem")
                    assert await page.inner_text("#problem-title") == "Too many checks"
                    assert "Try again in" in await page.inner_text("#problem-text")
                    assert await page.get_by_role("button", name="Try again").is_visible()
        assert await place.accepted() == 1


async def test_a_server_that_is_away_is_waited_for(
    redis_url: str, database_url: str, servers: Servers
) -> None:
    """With the same scan id, and without a hand."""
    async with place_on(redis_url, database_url) as place:
        token = await place.product()
        async with (
            chromium() as browser,
            visitor(browser) as context,
            visitor(browser, java_script_enabled=False) as without_scripts,
        ):
            page, plain = await context.new_page(), await without_scripts.new_page()
            for one in (page, plain):
                await one.goto(f"{place.url}/r/{token}?lang=en")
            await servers.stop("redis")
            for one in (page, plain):
                await press(one)
                await reaches(one, "problem")
                assert await one.inner_text("#problem-title") == "Not available now"
            assert await violations(page) == []
            await servers.start("redis")
            await servers.ready("redis")
            await reaches(page, "result")
            await plain.get_by_role("button", name="Try again").click()
            await reaches(plain, "result")
        assert await place.accepted() == 2


async def test_without_a_connection_it_is_sent_later_and_once(place: Place) -> None:
    token = await place.product()
    async with chromium() as browser, visitor(browser) as context:
        page = await context.new_page()
        ids: list[Any] = []
        page.on("request", lambda one: ids.append(one.post_data) if one.post_data else None)
        await page.goto(f"{place.url}/r/{token}")
        await context.set_offline(True)
        await press(page)
        await reaches(page, "problem")
        assert await page.inner_text("#problem-title") == "No connection"
        await context.set_offline(False)
        await reaches(page, "result")
        assert len(ids) >= 2
        assert len(set(ids)) == 1
    assert await place.accepted() == 1


async def test_a_link_that_holds_no_code_of_ours_is_told_so(place: Place) -> None:
    async with chromium() as browser:
        for scripts in (True, False):
            async with visitor(browser, java_script_enabled=scripts) as context:
                page = await context.new_page()
                await page.goto(f"{place.url}/r/{'A' * 65}?lang=en")
                await press(page)
                await reaches(page, "problem")
                assert await page.inner_text("#problem-title") == "This link is damaged"
