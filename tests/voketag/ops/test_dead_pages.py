"""The pages of dead letters in a real browser: found, understood, put back, thrown away."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, expect

from tests.administration import Admin, admin_on, operator
from tests.browser import DESKTOP, PHONE, chromium, violations
from tests.ops_pages import somebody
from tests.test_pages import HOSTILE
from voketag.redis.stream_status import newest

STREAM = "scans:{0}"
PAGE = f"/dead/{quote(STREAM, safe='')}/"


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running_browser:
        yield running_browser


@pytest.fixture
async def admin(redis_url: str, database_url: str) -> AsyncIterator[Admin]:
    async with admin_on(redis_url, database_url) as opened:
        yield opened


async def bury(admin: Admin, count: int = 1, **fields: str) -> list[str]:
    """Dead letters as a group leaves them; gives their ids."""
    entry: dict[Any, Any] = {
        "v": "1",
        "event": '{"scan_id": "no id", "ip_hash": "abcdef", "country": "BR"}',
        "dead_id": "1700000000000-0",
        "dead_group": "score",
        "dead_error": "not a Scan: Invalid UUID - at `$.scan_id`",
        "dead_attempts": "1",
    } | fields
    redis = admin.wires.streams.redis
    entry_ids = [await redis.xadd(f"{STREAM}:dead", entry) for _ in range(count)]
    return [str(entry_id, "ascii") for entry_id in entry_ids if isinstance(entry_id, bytes)]


def key_of(admin: Admin) -> str:
    return admin.headers["Authorization"].removeprefix("Bearer ")


async def test_a_dead_letter_is_found_understood_and_put_back(
    browser: Browser, admin: Admin
) -> None:
    (entry_id,) = await bury(admin)
    async with somebody(browser, admin.port) as who:
        await who.sign_in(key_of(admin), "/dead")
        page = who.page
        await page.get_by_role("link", name=entry_id).click()
        await expect(page).to_have_url(f"{who.origin}{PAGE}{entry_id}")
        main = page.locator("#main")
        await expect(main).to_contain_text("It cannot be read")
        await expect(main).to_contain_text("not a Scan: Invalid UUID")
        await expect(main).to_contain_text("an accepted scan, on its way to be scored")
        await expect(main).to_contain_text('"ip_hash": "[withheld]"')
        await expect(main).not_to_contain_text("abcdef")
        await page.get_by_role("button", name="Redrive").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("Would be put back")
        await expect(page).to_have_url(re.compile(r"act=redrive$"))
        assert await admin.wires.streams.redis.xlen(STREAM) == 0  # asked, and nothing done
        assert await violations(page) == []
        await dialog.get_by_label("Reason").fill("The app was mended")
        await dialog.get_by_role("button", name="Redrive 1 entry").click()
        await expect(dialog).to_contain_text("Put back")
        await expect(dialog).to_contain_text(f"{STREAM} has 0 left.")
        ((new_id, fields),) = (await newest(admin.wires.streams.redis, [STREAM], 2, {}))[STREAM]
        await expect(dialog).to_contain_text(new_id)
        assert set(fields) == {"v", "event"}
        await dialog.get_by_role("button", name="Close").click()
        await expect(page).to_have_url(f"{who.origin}/dead?stream={quote(STREAM, safe='')}")
        await expect(page.locator("#main")).to_contain_text("No dead letters.")
    async with admin.wires.database.connection() as connection:
        (row,) = await connection.fetch("SELECT action, reason FROM dead_letter_audit")
    assert dict(row) == {"action": "redrive", "reason": "The app was mended"}


async def test_all_of_a_stream_are_dropped_only_when_it_is_said(
    browser: Browser, admin: Admin
) -> None:
    await bury(admin, 3)
    left = admin.wires.streams.redis.xlen
    async with somebody(browser, admin.port) as who:
        # The URL asks for it: what it opens is the question.
        await who.sign_in(key_of(admin), f"/dead?stream={quote(STREAM, safe='')}&act=drop")
        dialog = who.page.get_by_role("dialog")
        await expect(dialog.get_by_text("Would be thrown away")).to_have_count(3)
        await who.page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)
        assert await left(f"{STREAM}:dead") == 3
        await who.page.get_by_role("button", name="Drop all").click()
        await dialog.get_by_role("button", name="Drop 3 entries").click()
        await expect(dialog.get_by_text("Thrown away", exact=True)).to_have_count(3)
        assert await left(f"{STREAM}:dead") == 0
        assert await left(STREAM) == 0


async def test_one_that_somebody_else_took_is_said_to_be_gone(
    browser: Browser, admin: Admin
) -> None:
    (entry_id,) = await bury(admin)
    async with somebody(browser, admin.port) as who:
        await who.sign_in(key_of(admin), f"{PAGE}{entry_id}")
        await expect(who.page.locator("#main")).to_contain_text("What it holds")
        await admin.wires.streams.redis.xdel(f"{STREAM}:dead", entry_id)
        await who.page.get_by_role("button", name="Drop").click()
        await expect(who.page.get_by_role("dialog")).to_contain_text("Not there any more")
        await expect(who.page.get_by_role("button", name="Drop 0 entries")).to_be_disabled()
        await who.page.reload()
        await expect(who.page.locator("#main")).to_contain_text("It is not here (any more)")


async def test_who_is_no_admin_reads_and_does_nothing(browser: Browser, admin: Admin) -> None:
    (entry_id,) = await bury(admin)
    analyst, _ = await operator(admin, "analyst")
    async with somebody(browser, admin.port) as who:
        await who.sign_in(key_of(analyst), f"{PAGE}{entry_id}?act=redrive")
        await expect(who.page.locator("#main")).to_contain_text("not a Scan")
        await expect(who.page.locator("#main")).to_contain_text("is for admins")
        await expect(who.page.get_by_role("dialog")).to_have_count(0)
        await expect(who.page.get_by_role("button", name="Redrive")).to_have_count(0)


async def test_what_an_entry_holds_is_shown_as_text(browser: Browser, admin: Admin) -> None:
    for hostile in HOSTILE:
        await bury(admin, dead_error=hostile, dead_group=hostile, event=hostile)
    async with somebody(browser, admin.port) as who:
        await who.sign_in(key_of(admin), "/dead")
        for hostile in HOSTILE:
            shown = who.page.locator("td .error").get_by_text(hostile, exact=True)
            await expect(shown).to_be_visible()
        await who.page.locator("td, th").get_by_role("link").first.click()
        await expect(who.page.locator("#main pre").first).to_have_text(HOSTILE[0])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [PHONE, DESKTOP], ids=["phone", "desktop"])
async def test_the_pages_are_for_everybody(
    browser: Browser, admin: Admin, device: dict[str, Any], scheme: str
) -> None:
    (entry_id,) = await bury(admin)
    async with somebody(browser, admin.port, device, scheme) as who:
        await who.sign_in(key_of(admin), "/dead")
        for path, shown in (("/dead", "By stream"), (f"{PAGE}{entry_id}", "What it holds")):
            await who.go(path)
            await expect(who.page.locator("#main")).to_contain_text(shown)
            assert await violations(who.page) == []
            width = device["viewport"]["width"]
            assert await who.page.evaluate("document.documentElement.scrollWidth") <= width
