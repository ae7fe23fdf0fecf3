"""/docs of each process in a real browser: it shows every operation, and what is tried works."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Page, expect

from tests.administration import admin_on
from tests.browser import DESKTOP, PHONE, chromium, violations
from tests.erp import serving
from tests.phones import phone_on
from tests.things_service import SETTINGS, Service
from voketag.http import assets, docs
from voketag.http.server import listening

# What Swagger UI itself has: its headings begin at 3, the link to an operation lies inside its
# button, the introduction lies outside its main part, and long examples scroll sideways.
VIEWERS_OWN = ("heading-order:", "nested-interactive:", "region:", "scrollable-region-focusable:")


@dataclass(frozen=True)
class Process:
    """A process under test: where it is, and the key that its operations want."""

    name: str
    url: str
    key: str | None


@pytest.fixture(params=["scan", "factory", "ops"])
async def process(
    request: pytest.FixtureRequest, redis_url: str, database_url: str
) -> AsyncIterator[Process]:
    match request.param:
        case "scan":
            async with phone_on(redis_url, database_url) as phone:
                yield Process("scan", phone.url, None)
        case "factory":
            async with serving(redis_url, database_url) as service:
                yield Process("factory", service.url, (await service.erp()).key)
        case "ops":
            async with admin_on(redis_url, database_url) as admin:
                key = admin.wires.settings.admin_key
                yield Process("ops", f"http://127.0.0.1:{admin.port}", key)


def watched(page: Page) -> list[str]:
    """What the page complains of, violations of its policy too, as it happens."""
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None,
    )
    return complaints


async def operations(url: str) -> list[tuple[str, str]]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/openapi.json") as response:
        document = await response.json()
    return [(method, path) for path, item in document["paths"].items() for method in item]


@pytest.mark.parametrize(("screen", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
async def test_every_operation_is_shown_and_one_is_tried(
    process: Process, screen: Mapping[str, Any], scheme: Any
) -> None:
    tried = {"scan": "post_v1_scans", "factory": "post_v1_batches", "ops": "get_v1_stats"}
    async with chromium() as browser:
        page = await (await browser.new_context(**screen, color_scheme=scheme)).new_page()
        complaints = watched(page)
        await page.goto(f"{process.url}/docs")
        every = await operations(process.url)
        await expect(page.locator(".opblock")).to_have_count(len(every))
        if process.key is not None:
            await authorise(page, process.key)
        status = await execute(page, tried[process.name])
        assert status == ("202" if process.name == "factory" else "200")
        found = await violations(page)
        assert [one for one in found if not one.startswith(VIEWERS_OWN)] == []
        assert complaints == []


async def authorise(page: Page, key: str) -> None:
    await page.get_by_role("button", name="Authorize").first.click()
    dialogue = page.locator(".modal-ux")
    await dialogue.locator("#auth-bearer-value").fill(key)
    await dialogue.locator("button.authorize").first.click()
    await dialogue.locator("button.btn-done").first.click()


async def execute(page: Page, operation: str) -> str:
    """Send the first example of an operation; gives the status of the answer."""
    block = page.locator(f"[id$='-{operation}']")
    await block.locator(".opblock-summary-control").click()
    await block.locator("button.execute").click()
    answered = block.locator(".live-responses-table .response-col_status").last
    await expect(answered).to_be_visible()
    return (await answered.inner_text()).split()[0]


async def test_a_key_is_forgotten_with_the_page(redis_url: str, database_url: str) -> None:
    async with admin_on(redis_url, database_url) as admin, chromium() as browser:
        page = await browser.new_page()
        await page.goto(f"http://127.0.0.1:{admin.port}/docs")
        await authorise(page, admin.wires.settings.admin_key)
        assert await page.evaluate("JSON.stringify([localStorage, sessionStorage])") == "[{},{}]"
        await page.reload()
        assert await execute(page, "get_v1_stats") == "401"


async def test_the_page_runs_under_the_policy_of_every_page(
    redis_url: str, database_url: str
) -> None:
    """Swagger UI needs nothing beyond it: no inline style or script, and no eval."""
    async with (
        phone_on(redis_url, database_url) as phone,
        phone.session.get("/docs") as response,
    ):
        assert response.headers["Content-Security-Policy"] == assets.POLICY
        assert "unsafe" not in assets.POLICY
        text = await response.text()
        assert "style=" not in text
        assert "<style" not in text


# ---------------------------------------------------------------------- what may be missing


async def test_without_the_viewer_a_process_serves_and_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(assets, "PACKAGES", tmp_path)
    async with (
        listening(Service().application(), SETTINGS, 0) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        for path in ("/docs", *(docs.PREFIX + name for name in docs.VIEWER)):
            async with session.get(path) as response:
                told = json.loads(await response.text())
                assert (response.status, told["code"]) == (404, "viewer_not_installed")
                assert "`make run` installs it" in told["detail"]
        async with session.get("/openapi.json") as response:
            assert response.status == 200
