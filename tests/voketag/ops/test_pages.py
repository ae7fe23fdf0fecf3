"""The pages of ops: what they are made of, and what somebody meets who is not signed in."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
from playwright.async_api import expect

from tests.administration import Admin, admin_on, operator
from tests.browser import DESKTOP, PHONE, chromium, violations
from tests.ops_pages import somebody
from voketag.http.assets import POLICY
from voketag.ops import pages


@pytest.fixture
async def admin(redis_url: str, database_url: str) -> AsyncIterator[Admin]:
    async with admin_on(redis_url, database_url) as opened:
        yield opened


async def test_pages_run_what_this_server_serves_and_nothing_else(admin: Admin) -> None:
    for path in pages.PAGES:
        async with admin.session.get(path) as response:
            text = await response.text()
        assert response.status == 200, path
        assert response.headers["Content-Security-Policy"] == POLICY
        assert response.headers["Cache-Control"] == "no-cache"
        for inline in (r"<style", r"\sstyle\s*=", r"\son\w+\s*=", r"javascript:", r"https?:"):
            assert not re.search(inline, text), (path, inline)


def test_scripts_make_no_element_from_text() -> None:
    for file in pages.files():
        text = file.read_text(encoding="utf-8")
        for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert sink not in text, (file.name, sink)


async def test_the_sign_in_is_for_everybody(admin: Admin) -> None:
    async with chromium() as browser:
        for device in (PHONE, DESKTOP):
            for scheme in ("light", "dark"):
                async with somebody(browser, admin.port, device, scheme) as who:
                    await who.go("/sign-in")
                    assert await who.page.get_by_label("Your key").is_visible()
                    assert await violations(who.page) == []


async def test_who_signs_in_comes_back_to_where_they_were(admin: Admin) -> None:
    async with chromium() as browser, somebody(browser, admin.port) as who:
        page = who.page
        await who.go("/dead?stream=roots")
        await page.get_by_label("Your key").fill("vta_WRONG")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("alert")).to_contain_text("key")
        await expect(page.get_by_label("Your key")).to_have_attribute("aria-invalid", "true")
        key = admin.wires.settings.admin_key
        await page.get_by_label("Your key").fill(key)
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(f"{who.origin}/dead?stream=roots")
        await expect(page.locator(".who")).to_contain_text("admin")
        current = page.locator("nav [aria-current=page]", has_text="Dead letters")
        await expect(current).to_be_visible()
        kept = await page.evaluate(
            "JSON.stringify([localStorage, sessionStorage, document.cookie])"
        )
        assert kept == '[{},{},""]'
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_label("Your key")).to_be_visible()
        await who.go("/dead")
        await expect(page.get_by_label("Your key")).to_be_visible()


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example/", "https://evil.example/", "/.//evil.example/", "\\\\evil.example", "["],
)
async def test_the_sign_in_leads_nowhere_else(admin: Admin, wanted: str) -> None:
    async with chromium() as browser, somebody(browser, admin.port) as who:
        await who.go(f"/sign-in?next={quote(wanted)}")
        await who.page.get_by_label("Your key").fill(admin.wires.settings.admin_key)
        await who.page.keyboard.press("Enter")
        await who.page.wait_for_url(lambda url: "/sign-in" not in url)
        assert who.page.url.startswith(who.origin + "/")


async def test_the_navigation_folds_on_a_phone(admin: Admin) -> None:
    async with chromium() as browser, somebody(browser, admin.port, PHONE) as who:
        viewer, _ = await operator(admin, "viewer", "Vera")
        await who.sign_in(viewer.headers["Authorization"].removeprefix("Bearer "), "/dead")
        places, menu = who.page.locator("#places"), who.page.get_by_role("button", name="Menu")
        await expect(places).to_be_hidden()
        await menu.click()
        await expect(places).to_be_visible()
        await expect(menu).to_have_attribute("aria-expanded", "true")
        await expect(who.page.locator(".who")).to_contain_text("Vera")
        await expect(who.page.locator(".who")).to_contain_text("viewer")
        assert await violations(who.page) == []
