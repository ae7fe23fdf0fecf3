"""Somebody at the pages of ops, in a real browser."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Page

from tests.browser import DESKTOP

# A browser says so of every answer that is an error, also where the page expects it.
EXPECTED = ("the server responded with a status of 4", "Failed to load resource: net::")


class Somebody:
    """One page of a browser, and all that the browser complained of."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.origin = origin
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._note)

    def _note(self, message: ConsoleMessage) -> None:
        """Errors and warnings, a violated policy among them."""
        expected = any(words in message.text for words in EXPECTED)
        if message.type in ("error", "warning") and not expected:
            self.complaints.append(message.text)

    async def go(self, path: str) -> None:
        """Open a page."""
        await self.page.goto(self.origin + path)

    async def sign_in(self, key: str, path: str = "/") -> None:
        """Open a page as who comes from outside, and sign in on the way."""
        await self.go(path)
        await self.page.get_by_label("Your key").fill(key)
        await self.page.get_by_role("button", name="Sign in").click()
        await self.page.wait_for_url(self.origin + path)

    async def text(self, selector: str) -> str:
        """The text of a part of the page, as it is seen."""
        return await self.page.locator(selector).inner_text()


@contextlib.asynccontextmanager
async def somebody(
    browser: Browser, port: int, device: dict[str, Any] = DESKTOP, scheme: Any = "light"
) -> AsyncIterator[Somebody]:
    """A browser of somebody who is not signed in; at the end it must have complained of nothing."""
    context = await browser.new_context(**device, color_scheme=scheme)
    try:
        seen = Somebody(await context.new_page(), f"http://127.0.0.1:{port}")
        yield seen
        assert seen.complaints == []
    finally:
        await context.close()
