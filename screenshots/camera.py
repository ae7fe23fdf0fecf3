"""A browser as a camera: a page, in a size and a scheme, into a PNG."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from voketag.errors import VokeTagError

AGENT = "Mozilla/5.0 (Linux; Android 15; Pixel 9) Chrome/140.0 Mobile Safari/537.36"
SIZES: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 800}},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "is_mobile": True,
        "has_touch": True,
        "user_agent": AGENT,
    },
}
Scheme = Literal["light", "dark"]


class NoBrowser(VokeTagError):
    """There is no browser to take pictures with; the message says how to get one."""


@dataclass(frozen=True)
class Camera:
    """Takes pictures into a folder. With `key` its browser is signed in to ops."""

    browser: Browser
    folder: Path
    ops_url: str
    key: str

    @contextlib.asynccontextmanager
    async def page(
        self, size: str, scheme: Scheme, *, signed_in: bool = False, locale: str = "en-GB"
    ) -> AsyncIterator[Page]:
        """A page in a fresh browser."""
        context = await self.browser.new_context(
            **SIZES[size], color_scheme=scheme, locale=locale, reduced_motion="reduce"
        )
        try:
            if signed_in:
                await self._sign_in(context)
            yield await context.new_page()
        finally:
            await context.close()

    async def _sign_in(self, context: BrowserContext) -> None:
        answer = await context.request.post(f"{self.ops_url}/v1/session", data={"key": self.key})
        if not answer.ok:
            raise VokeTagError(f"signing in was answered with {answer.status}")

    async def take(self, page: Page, name: str, *, whole: bool = False) -> None:
        """What is seen of the page; all of it with `whole`."""
        await page.screenshot(path=self.folder / f"{name}.png", full_page=whole)
        print(f"  {name}.png", flush=True)


@contextlib.asynccontextmanager
async def camera(folder: Path, ops_url: str, key: str) -> AsyncIterator[Camera]:
    """A camera with Debian's Chromium. Raises NoBrowser."""
    binary = shutil.which("chromium")
    if binary is None:
        raise NoBrowser("Chromium is not installed: apt-get install chromium")
    async with async_playwright() as playwright:
        # Chromium's own sandbox does not work for root.
        browser = await playwright.chromium.launch(
            executable_path=binary, chromium_sandbox=os.geteuid() != 0
        )
        try:
            yield Camera(browser, folder, ops_url, key)
        finally:
            await browser.close()
