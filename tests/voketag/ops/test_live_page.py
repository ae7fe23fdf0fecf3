"""The live view in a real browser, over real servers and consumers."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from typing import Any, get_args

import msgspec
import pytest
from playwright.async_api import Browser, Locator, Page, expect

from consumers import persist, score
from tests.administration import Admin, admin_on
from tests.browser import DESKTOP, PHONE, chromium, violations
from tests.factory_floor import running, settings_for, store_product, token_of
from tests.ops_pages import Somebody, somebody
from tests.phones import Phone, phone_on
from tests.servers import Servers
from tests.test_pages import HOSTILE
from tests.voketag.ops.test_live import Ops
from voketag import process
from voketag.events import Verdict
from voketag.figures import left_in_redis
from voketag.http.server import listening
from voketag.ops import api

WITHIN_MS = 20_000  # a busy machine may take long; nothing here is timed


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running_browser:
        yield running_browser


@pytest.fixture
async def admin(redis_url: str, database_url: str) -> AsyncIterator[Admin]:
    async with admin_on(redis_url, database_url) as opened:
        yield opened


@pytest.fixture
async def phone(redis_url: str, database_url: str) -> AsyncIterator[Phone]:
    """A phone, whose scan process leaves its figures as a real one does."""
    async with (
        phone_on(redis_url, database_url) as opened,
        left_in_redis(opened.wires.streams, "scan"),
    ):
        yield opened


@contextlib.asynccontextmanager
async def watching(browser: Browser, admin: Admin, path: str = "/") -> AsyncIterator[Somebody]:
    async with somebody(browser, admin.port) as who:
        await who.sign_in(admin.wires.settings.admin_key, path)
        await expect(who.page.locator("#connection")).to_have_text("Live", timeout=WITHIN_MS)
        yield who


def figure(page: Page, name: str) -> Locator:
    """The figure of a tile."""
    label = page.get_by_text(name, exact=True)
    return page.locator("#figures .tile").filter(has=label).locator("dd").first


async def test_what_happens_is_shown_while_it_happens(
    browser: Browser, admin: Admin, phone: Phone
) -> None:
    product = await store_product(phone.wires)
    token = token_of(phone.wires, product.product_id)
    async with (
        running(phone.wires, score.build(phone.wires), persist.build(phone.wires)),
        watching(browser, admin) as who,
    ):
        page = who.page
        await expect(figure(page, "Accepted")).to_have_text("0", timeout=WITHIN_MS)
        await expect(page.locator("#tail")).to_contain_text("No scan has come yet.")
        for number in range(3):
            await phone.scan(token, country="BR", device={"install_id": str(number)})
        await phone.scan("NONE")
        await phone.post("/v1/scans", {"token": token, "country": "XXX"})
        await expect(page.locator("#tail tbody tr")).to_have_count(3, timeout=WITHIN_MS)
        first = page.locator("#tail tbody tr").first
        await expect(first).to_contain_text("SHOE-42")
        link = first.get_by_role("link", name="SHOE-42")
        assert await link.get_attribute("href") == f"/products/{product.product_id}"
        await expect(figure(page, "Today")).to_have_text("3", timeout=WITHIN_MS)
        await expect(page.locator("#countries")).to_contain_text("Brazil3 100%")
        await expect(page.locator("#products")).to_contain_text("SHOE-42 · Running shoe")
        # What the scan process counts is left every other second.
        await expect(page.locator("#refusals")).to_contain_text("422", timeout=WITHIN_MS)
        await expect(page.locator("#refusals")).to_contain_text("Codes that are not ours")
        await expect(figure(page, "p99")).to_have_text(re.compile("[0-9.]+"), timeout=WITHIN_MS)
        assert await page.locator("#rates-chart canvas").count() == 1
        assert await page.locator("#latency-chart canvas").count() == 1


async def test_a_filter_stands_in_the_url_and_a_pause_holds_what_comes(
    browser: Browser, admin: Admin
) -> None:
    ops, page_rows = Ops(admin.session, admin.wires), "#tail tbody tr"
    async with watching(browser, admin) as who:
        page = who.page
        await page.get_by_label("Verdict", exact=True).select_option("High risk")
        await expect(page).to_have_url(re.compile("verdict=high_risk"), timeout=WITHIN_MS)
        await page.reload()
        await expect(page.get_by_label("Verdict", exact=True)).to_have_value("high_risk")
        await expect(page.locator("#connection")).to_have_text("Live", timeout=WITHIN_MS)
        await ops.publish(None, "authentic")
        await ops.publish(None, "high_risk")
        await expect(page.locator(page_rows)).to_have_count(1, timeout=WITHIN_MS)
        await expect(page.locator(page_rows)).to_contain_text("High risk")
        await page.get_by_role("button", name="Pause").click()
        await ops.publish(None, "high_risk")
        await expect(page.get_by_role("button", name="Go on (1 new)")).to_be_visible(
            timeout=WITHIN_MS
        )
        assert await page.locator(page_rows).count() == 1
        assert "pause" not in page.url
        await page.get_by_role("button", name="Go on").click()
        await expect(page.locator(page_rows)).to_have_count(2)
        country = page.get_by_label("Country, by its code")
        await country.fill("B")
        await expect(country).to_have_attribute("aria-invalid", "true")
        await country.fill("br")
        await expect(page).to_have_url(re.compile("country=BR"), timeout=WITHIN_MS)


async def test_what_is_wrong_is_named_and_linked(
    browser: Browser, admin: Admin, phone: Phone
) -> None:
    """A consumer that goes, and an entry that is given up."""
    async with watching(browser, admin) as who:
        page, troubles = who.page, who.page.locator("#troubles")
        async with running(phone.wires, score.build(phone.wires)):
            await expect(troubles).to_contain_text("no process is alive", timeout=WITHIN_MS)
            await expect(troubles).not_to_contain_text("score", timeout=WITHIN_MS)
        await expect(troubles).to_contain_text("score", timeout=WITHIN_MS)
        row = page.locator("#streams tr.wrong", has_text="scans:{0}")
        await expect(row).to_contain_text("score")
        await admin.wires.streams.redis.xadd("scans:{0}:dead", {"v": "1", "dead_error": "x"})
        await page.get_by_role("link", name="1 dead letter").click(timeout=WITHIN_MS)
        await expect(page).to_have_url(re.compile("/dead$"))
        await expect(page.get_by_role("heading", level=1)).to_have_text("Dead letters")


async def test_a_lost_connection_is_said_and_made_again(
    browser: Browser, redis_url: str, database_url: str
) -> None:
    """Nothing is shown as if it were now while nothing comes."""
    settings = settings_for(redis_url, database_url)
    async with (
        process.open_wires(settings, database=True, replica=True) as wires,
        contextlib.AsyncExitStack() as server,
    ):
        app = await server.enter_async_context(api.opened(wires))
        port = await server.enter_async_context(listening(app, settings, 0))
        async with somebody(browser, port) as who:
            await who.sign_in(settings.admin_key)
            connection = who.page.locator("#connection")
            await expect(connection).to_have_text("Live", timeout=WITHIN_MS)
            await expect(figure(who.page, "Scored")).to_have_text("0", timeout=WITHIN_MS)
            await server.aclose()
            await expect(connection).to_contain_text("Connection lost", timeout=WITHIN_MS)
            await expect(figure(who.page, "Scored")).to_have_text("unknown")
            await expect(who.page.locator("#troubles")).to_contain_text("Not live")
            await expect(who.page.locator("#streams").locator("..")).to_have_class(
                re.compile("stale")
            )
            async with api.opened(wires) as again, listening(again, settings, port):
                await expect(connection).to_have_text("Live", timeout=WITHIN_MS)
                await expect(figure(who.page, "Scored")).to_have_text("0", timeout=WITHIN_MS)
                await expect(who.page.locator(".stale")).to_have_count(0)


async def test_a_redis_that_is_gone_is_named_and_nothing_is_0(
    browser: Browser, servers: Servers, redis_url: str, database_url: str
) -> None:
    async with admin_on(redis_url, database_url) as admin, watching(browser, admin) as who:
        await expect(figure(who.page, "Accepted")).to_have_text("0", timeout=WITHIN_MS)
        await servers.stop("redis")
        troubles = who.page.locator("#troubles")
        await expect(troubles).to_contain_text("Redis does not answer", timeout=WITHIN_MS)
        for name in ("Accepted", "Stored", "Refused", "p99", "Today"):
            await expect(figure(who.page, name)).to_have_text("unknown", timeout=WITHIN_MS)
        await expect(who.page.locator("#streams")).to_have_text("unknown")
        await servers.start("redis")
        await expect(figure(who.page, "Accepted")).to_have_text("0", timeout=WITHIN_MS)


async def test_a_hostile_name_is_shown_as_text(browser: Browser, admin: Admin) -> None:
    ops = Ops(admin.session, admin.wires)
    async with watching(browser, admin) as who:
        for name in HOSTILE:
            product = await store_product(admin.wires)
            await ops.publish(msgspec.structs.replace(product, sku=name), "authentic")
            shown = who.page.locator("#tail").get_by_role("link", name=name, exact=True)
            await expect(shown).to_be_visible(timeout=WITHIN_MS)
        assert await who.page.locator("#tail :is(img, script, svg[onload])").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [PHONE, DESKTOP], ids=["phone", "desktop"])
async def test_the_page_is_for_everybody(
    browser: Browser, admin: Admin, device: dict[str, Any], scheme: str
) -> None:
    ops = Ops(admin.session, admin.wires)
    await admin.wires.streams.redis.xadd("scans:{0}:dead", {"v": "1", "dead_error": "x"})
    async with somebody(browser, admin.port, device, scheme) as who:
        await who.sign_in(admin.wires.settings.admin_key)
        page = who.page
        await expect(page.locator("#connection")).to_have_text("Live", timeout=WITHIN_MS)
        for verdict in get_args(Verdict):
            await ops.publish(None, verdict)
        await expect(page.locator("#tail tbody tr")).to_have_count(5, timeout=WITHIN_MS)
        await expect(page.locator("#troubles")).to_contain_text("1 dead letter", timeout=WITHIN_MS)
        assert await violations(page) == []
        # Nothing is wider than the screen.
        width = device["viewport"]["width"]
        assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_the_keyboard_reaches_everything(browser: Browser, admin: Admin) -> None:
    async with watching(browser, admin) as who:
        page = who.page
        await page.keyboard.press("Tab")
        skip = page.get_by_role("link", name="Skip to content")
        await expect(skip).to_be_focused()
        await expect(skip).to_be_in_viewport()
        await page.keyboard.press("Enter")
        await expect(page.locator("#main")).to_be_focused()
        pause = page.get_by_role("button", name="Pause")
        for _ in range(30):
            await page.keyboard.press("Tab")
            outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline == "solid"  # one sees where one is
            if await pause.evaluate("button => button === document.activeElement"):
                break
        await page.keyboard.press("Space")
        await expect(page.locator("#pause")).to_have_attribute("aria-pressed", "true")
