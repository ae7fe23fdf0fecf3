"""A real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal

import pytest
from playwright.async_api import Browser, Page, async_playwright

from voketag.http.assets import packaged

# What a browser context takes: `browser.new_context(**PHONE)`.
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
SCHEMES: Mapping[Literal["light", "dark"], tuple[str, ...]] = {
    "light": (),
    "dark": ("color-contrast", "link-in-text-block"),  # axe-core's rules of colours
}


@contextlib.asynccontextmanager
async def chromium(**launched: Any) -> AsyncIterator[Browser]:
    """The browser. Where there is none, CI fails and anyone else's test is skipped. `launched`
    are further options of Playwright's `launch`.
    """
    binary = shutil.which("chromium")
    if binary is None and "CI" in os.environ:
        pytest.fail("Chromium is not installed: apt-get install chromium")
    if binary is None:
        pytest.skip("NO BROWSER: pages were not tested. apt-get install chromium")
    async with async_playwright() as playwright:
        # Chromium's own sandbox does not work for root.
        browser = await playwright.chromium.launch(
            executable_path=binary, chromium_sandbox=os.geteuid() != 0, **launched
        )
        try:
            yield browser
        finally:
            await browser.close()


async def violations(page: Page, *rules: str) -> list[str]:
    """What axe-core finds wrong for people who do not see or use a page as most do (WCAG), by these
    of its rules or by all.
    """
    if await page.evaluate("typeof axe") == "undefined":
        await page.evaluate(packaged("axe-core", "axe.min.js").read_text(encoding="utf-8"))
    found = await page.evaluate("(rules) => axe.run(rules ? {runOnly: rules} : {})", rules or None)
    return [
        f"{one['id']}: {one['help']}: {[node['html'] for node in one['nodes']]}"
        for one in found["violations"]
    ]


async def violations_in_both_schemes(page: Page) -> list[str]:
    """The same in the light and in the dark, between which nothing differs but colours."""
    found = []
    for scheme, rules in SCHEMES.items():
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found += [f"{scheme}: {one}" for one in await violations(page, *rules)]
    return found
