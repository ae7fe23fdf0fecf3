"""Somebody at a desk: a browser at the pages of ops, signed in with a key of one's own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Dialog, Page, expect

from tests.administration import Admin, operator
from tests.browser import DESKTOP
from voketag import identifiers

DEADLINE_MS = 20_000


@dataclass
class Desk:
    """A signed-in browser. Whatever it complains of (errors of scripts, breaches of the policy,
    failed requests) has to be `expected`.
    """

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    async def open(self, path: str) -> Page:
        """Open a page and wait until it shows what it asked for."""
        await self.page.goto(self.url + path)
        await self.shown()
        return self.page

    async def shown(self) -> None:
        """Wait until the page has something to show and is not busy."""
        await self.page.locator("#content > *, #said > *").first.wait_for()
        await self.page.locator("[aria-busy]").wait_for(state="detached")

    def expected(self, part: str) -> None:
        """Take away the complaints that name this; there has to be one."""
        rest = [complaint for complaint in self.complaints if part not in complaint]
        assert rest != self.complaints, (part, self.complaints)
        self.complaints = rest


@contextlib.asynccontextmanager
async def desk(
    browser: Browser, admin: Admin, role: str = "admin", name: str = "", **context: Any
) -> AsyncIterator[Desk]:
    """A new operator of this role at a desk; at its end there is no complaint left."""
    someone, _ = await operator(admin, role, name or f"{role} {identifiers.new_text()}")
    key = someone.headers["Authorization"].removeprefix("Bearer ")
    opened = await browser.new_context(**(DESKTOP | context), locale="en-GB")
    opened.set_default_timeout(DEADLINE_MS)
    expect.set_options(timeout=DEADLINE_MS)
    page = await opened.new_page()
    at = Desk(page, f"http://127.0.0.1:{admin.port}")

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            at.complaints.append(f"{page.url}: {message.text}")

    async def refuse(dialog: Dialog) -> None:
        at.complaints.append(f"a dialog: {dialog.message}")
        await dialog.dismiss()

    page.on("console", listen)
    page.on("pageerror", lambda error: at.complaints.append(f"{page.url}: {error}"))
    page.on("dialog", refuse)
    try:
        await sign_in(at, key)
        yield at
    finally:
        await opened.close()
    assert at.complaints == []


async def sign_in(at: Desk, key: str) -> None:
    """Exchange a key for a session, at the page that does so."""
    await at.page.goto(at.url + "/sign-in?next=/batches")
    await at.page.get_by_label("Your key").fill(key)
    await at.page.get_by_role("button", name="Sign in").click()
    await at.page.wait_for_url(f"{at.url}/batches")
