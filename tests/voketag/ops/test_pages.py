"""The pages of ops: what they are made of, and what somebody meets who is not signed in."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from tests.administration import Admin, admin_on
from tests.browser import DESKTOP, PHONE, chromium, violations
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
                context = await browser.new_context(**device, color_scheme=scheme)
                page = await context.new_page()
                await page.goto(f"http://127.0.0.1:{admin.port}/sign-in")
                assert await page.get_by_label("Your key").is_visible()
                assert await violations(page) == []
                await context.close()
