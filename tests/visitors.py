"""Who opens the page of a code: people with a phone, with or without scripts, and programs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
from playwright.async_api import Browser, BrowserContext, Page

from producers import scan
from tests.browser import PHONE
from tests.factory_floor import settings_for, store_product, token_of
from tests.phones import Phone
from voketag import events, identifiers, process
from voketag.http.server import listening

# Without this Chromium says that it is driven: `navigator.webdriver`.
NOT_DRIVEN: dict[str, Any] = {"args": ["--disable-blink-features=AutomationControlled"]}
AGENT = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Mobile Safari/537.36"
)
VERDICTS = ("authentic", "suspicious", "high_risk", "recalled", "not_recognised")
DEADLINE_MS = 20_000


@dataclass(frozen=True)
class Place:
    """A scan service where pages are opened."""

    phone: Phone
    url: str

    async def product(self, **fields: Any) -> str:
        """The token of a stored product nobody has scanned."""
        product = await store_product(self.phone.wires, **fields)
        return token_of(self.phone.wires, product.product_id)

    async def token_for(self, verdict: str) -> str:
        """A token whose next scan, by a phone that says nothing of its place, has this verdict."""
        if verdict == "not_recognised":
            return token_of(self.phone.wires, identifiers.new_id())
        token = await self.product(recalled=verdict == "recalled")
        countries = {"suspicious": ("BR", "AR", "UY"), "high_risk": ("BR", "DE", "JP", "US", "ZA")}
        for place, country in enumerate(countries.get(verdict, ())):
            for device in range(2):
                install = {"install_id": f"{place}-{device}"}
                await self.phone.scan(token, country=country, device=install)
        return token

    async def accepted(self) -> int:
        """How many scans were accepted, of any product."""
        wires = self.phone.wires
        streams = [events.scans(shard) for shard in range(wires.settings.shards)]
        return sum([int(await wires.streams.redis.xlen(stream)) for stream in streams])

    async def scans(self, token: str) -> int:
        """How often a token was scanned before this call, which scans it too."""
        body = await self.phone.scan(token)
        return int(body["history"]["scans"]) - 1


@contextlib.asynccontextmanager
async def place_on(redis_url: str, database_url: str, **changed: str) -> AsyncIterator[Place]:
    """A scan service on real servers."""
    settings = settings_for(redis_url, database_url, **changed)
    async with (
        process.open_wires(settings, database=True, replica=True) as wires,
        scan.opened(wires) as app,
        listening(app, settings, 0) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        url = f"http://127.0.0.1:{port}"
        yield Place(Phone(session, wires, url), url)


@contextlib.asynccontextmanager
async def visitor(browser: Browser, **context: Any) -> AsyncIterator[BrowserContext]:
    """A person's browser: a phone, unless `context` says otherwise."""
    opened = await browser.new_context(
        **(PHONE | {"user_agent": AGENT, "locale": "en-GB"} | context)
    )
    opened.set_default_timeout(DEADLINE_MS)
    try:
        yield opened
    finally:
        await opened.close()


async def reaches(page: Page, state: str) -> None:
    """Wait until the page shows a state."""
    await page.locator(f'main[data-state="{state}"]').wait_for(state="attached")


def faults_of(page: Page) -> list[str]:
    """What goes wrong in a page from now on: errors of scripts, what its policy forbade."""
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console",
        lambda said: faults.append(said.text) if said.type in ("error", "warning") else None,
    )
    return faults


async def settled(page: Page) -> None:
    """Two frames painted: what was to be seen is seen."""
    await page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )
    await asyncio.sleep(0)
