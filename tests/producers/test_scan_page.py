"""How the page of a code confirms a scan: once a visit, for people and for no program."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from playwright.async_api import Page, Request

from tests.browser import DESKTOP, chromium
from tests.phones import scan_id_at
from tests.visitors import AGENT, NOT_DRIVEN, Place, faults_of, place_on, reaches, visitor
from voketag import identifiers

MOST_BYTES = 50_000
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
NO_POINTER = {
    "args": [
        *NOT_DRIVEN["args"],
        "--blink-settings=primaryHoverType=1,availableHoverTypes=1,"
        "primaryPointerType=1,availablePointerTypes=1",
    ]
}


@pytest.fixture
async def place(redis_url: str, database_url: str) -> AsyncIterator[Place]:
    async with place_on(redis_url, database_url) as opened:
        yield opened


def posts_of(page: Page) -> list[Request]:
    """The scans that a page posts from now on."""
    posted: list[Request] = []
    page.on("request", lambda one: posted.append(one) if one.method == "POST" else None)
    return posted


# ---------------------------------------------------------------------- people


async def test_a_visit_is_one_scan(place: Place) -> None:
    """However often it is reloaded, gone back to, read in another language, opened again."""
    token = await place.product()
    url = f"{place.url}/r/{token}"
    async with chromium(**NOT_DRIVEN) as browser, visitor(browser) as context:
        page = await context.new_page()
        faults, posted = faults_of(page), posts_of(page)
        await page.goto(url)
        await reaches(page, "result")
        reference = await page.inner_text("#reference")
        await page.reload()
        await reaches(page, "result")
        await page.locator("nav a[lang=pt]").click()
        await page.get_by_role("heading", name="Autêntico").wait_for()
        await page.goto(f"{place.url}/verify")
        await page.go_back()
        await reaches(page, "result")
        second = await context.new_page()
        await second.goto(url)
        await reaches(second, "result")
        assert await second.inner_text("#reference") == reference
        assert len(posted) >= 3
        assert {json.loads(one.post_data or "")["scan_id"] for one in posted} == {reference}
        assert faults == []
    assert await place.scans(token) == 1


async def test_another_visitor_and_another_code_are_other_scans(place: Place) -> None:
    token, other = await place.product(), await place.product()
    async with chromium(**NOT_DRIVEN) as browser:
        for _ in range(2):
            async with visitor(browser) as context:
                page = await context.new_page()
                for one in (token, other):
                    await page.goto(f"{place.url}/r/{one}")
                    await reaches(page, "result")
    assert await place.scans(token) == 2
    assert await place.scans(other) == 2


async def test_who_touches_the_page_does_not_wait(place: Place) -> None:
    """In a web view that never says that it has the focus."""
    token = await place.product()
    async with chromium(**NOT_DRIVEN) as browser, visitor(browser) as context:
        await context.add_init_script("Document.prototype.hasFocus = () => false")
        page = await context.new_page()
        await page.goto(f"{place.url}/r/{token}")
        await page.touchscreen.tap(200, 600)
        await reaches(page, "result")
    assert await place.scans(token) == 1


@pytest.mark.parametrize("stored", ["expired", "broken", "refused"])
async def test_what_the_browser_keeps_is_not_relied_on(place: Place, stored: str) -> None:
    token = await place.product()
    now_ms = time.time_ns() // 1_000_000
    async with chromium(**NOT_DRIVEN) as browser, visitor(browser) as context:
        if stored == "refused":
            broken = "get() { throw new Error('kept from pages') }"
            for name in ("sessionStorage", "localStorage"):
                await context.add_init_script(
                    f"Object.defineProperty(window, '{name}', {{ {broken} }})"
                )
        else:
            week_old = scan_id_at(now_ms - 8 * 86_400_000)
            kept = week_old if stored == "expired" else "{"
            await context.add_init_script(
                f"sessionStorage.setItem('voketag.scan.{token}', '{week_old}');"
                f"localStorage.setItem('voketag.visit', '{kept}')"
                if stored == "expired"
                else "localStorage.setItem('voketag.visit', '{')"
            )
        page = await context.new_page()
        await page.goto(f"{place.url}/r/{token}")
        await reaches(page, "result")
    assert await place.scans(token) == 1


# ---------------------------------------------------------------------- programs


async def test_reading_the_page_counts_nothing(place: Place) -> None:
    token = await place.product()
    for agent in (AGENT, "WhatsApp/2.23.20", "Googlebot/2.1"):
        for method in ("GET", "HEAD"):
            async with place.phone.session.request(
                method, f"/r/{token}", headers={"User-Agent": agent}
            ) as response:
                assert response.status == 200
                text = await response.text()
                assert token not in text
                assert response.headers["Cache-Control"] == "no-store"
                assert "Accept-Language" in response.headers["Vary"]
    assert await place.scans(token) == 0


@pytest.mark.parametrize("program", ["driven", "named", "without a pointer"])
async def test_a_program_that_runs_the_script_counts_nothing(place: Place, program: str) -> None:
    """It is shown the button; whatever it does beside pressing it is no scan."""
    token = await place.product()
    launched: Mapping[str, Any] = {"driven": {}, "without a pointer": NO_POINTER}.get(
        program, NOT_DRIVEN
    )
    agent = "Mozilla/5.0 (compatible; Googlebot/2.1)" if program == "named" else AGENT
    context_is = DESKTOP | {"is_mobile": False, "has_touch": False, "user_agent": agent}
    async with chromium(**launched) as browser, visitor(browser, **context_is) as context:
        page = await context.new_page()
        posted = posts_of(page)
        await page.goto(f"{place.url}/r/{token}", wait_until="networkidle")
        await page.mouse.click(5, 5)
        await page.mouse.wheel(0, 200)
        await page.keyboard.press("Tab")
        await page.evaluate(LONG_LOOKED_AT)
        await reaches(page, "start")
        assert posted == []
        await page.get_by_role("button", name="Check this product").click()
        await reaches(page, "result")
    assert await place.scans(token) == 1


# Frames and time enough for somebody who looks.
LONG_LOOKED_AT = """() => new Promise((done) => {
  const until = performance.now() + 1500;
  const frame = (now) => (now > until ? done() : requestAnimationFrame(frame));
  requestAnimationFrame(frame);
})"""


@pytest.mark.parametrize(
    "sign",
    [
        "Document.prototype.hasFocus = () => false",
        "Object.defineProperty(document, 'visibilityState', { get: () => 'hidden' })",
        "window.requestAnimationFrame = () => 0",
    ],
)
async def test_a_page_that_nobody_sees_counts_nothing(place: Place, sign: str) -> None:
    """After a while it shows the button, for a person who looks in a way that is not seen."""
    token = await place.product()
    async with chromium(**NOT_DRIVEN) as browser, visitor(browser) as context:
        await context.add_init_script(sign)
        page = await context.new_page()
        posted = posts_of(page)
        await page.goto(f"{place.url}/r/{token}")
        await reaches(page, "start")
        assert posted == []
        await page.get_by_role("button", name="Check this product").click()
        await reaches(page, "result")
        assert await page.evaluate("document.activeElement.id") == "verdict-title"
    assert await place.scans(token) == 1


async def test_a_prerendered_page_counts_when_it_is_shown(place: Place) -> None:
    """A driven Chromium prerenders nothing, so the page is told that it is by what tells it."""
    token = await place.product()
    async with chromium(**NOT_DRIVEN) as browser, visitor(browser) as context:
        await context.add_init_script(
            "let prerendering = true;"
            "Object.defineProperty(document, 'prerendering', { get: () => prerendering });"
            "addEventListener('shown', () => { prerendering = false;"
            " document.dispatchEvent(new Event('prerenderingchange')); });"
        )
        page = await context.new_page()
        await page.goto(f"{place.url}/r/{token}")
        await page.evaluate(LONG_LOOKED_AT)
        assert await place.accepted() == 0
        await page.evaluate("dispatchEvent(new Event('shown'))")
        await reaches(page, "result")
    assert await place.accepted() == 1


# ---------------------------------------------------------------------- without scripts


async def test_the_form_works_without_scripts(place: Place) -> None:
    token = await place.product()
    async with chromium() as browser, visitor(browser, java_script_enabled=False) as context:
        page = await context.new_page()
        await page.goto(f"{place.url}/r/{token}")
        await page.get_by_role("button", name="Check this product").click()
        await page.get_by_role("heading", name="Genuine").wait_for()
        reference = await page.inner_text("#reference")
        await page.reload()  # the browser posts the form once more
        await page.get_by_role("button", name="pt").click()
        await page.get_by_role("heading", name="Autêntico").wait_for()
        assert await page.inner_text("#reference") == reference
    assert await place.scans(token) == 1


async def test_a_form_of_another_site_is_refused(place: Place) -> None:
    """Else a page with many visitors could make any product look copied."""
    token = await place.product()
    own = place.url
    for headers, status in (
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 200),
        ({"Origin": own}, 200),
        ({}, 200),
    ):
        async with place.phone.session.post(
            f"/r/{token}", data="lang=en", headers={**FORM, **headers}
        ) as response:
            assert response.status == status, headers
    assert await place.scans(token) == 3


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"scan_id=nonsense", 200),
        (b"", 200),
        (b"scan_id=" + b"0" * 40_000, 413),
        (b"&".join(b"a%d=1" % n for n in range(99)), 400),
        (b"description=%ff", 400),
        ("description=é".encode(), 400),
    ],
)
async def test_any_form_has_an_answer(place: Place, data: bytes, status: int) -> None:
    token = await place.product()
    async with place.phone.session.post(f"/r/{token}", data=data, headers=FORM) as response:
        assert response.status == status
    assert await place.scans(token) == (status == 200)


async def test_a_form_that_lay_open_for_a_week_or_is_of_another_product_is_a_new_scan(
    place: Place,
) -> None:
    token, other = await place.product(), await place.product()
    used = str(identifiers.new_id())
    await place.phone.scan(other, scan_id=used)
    old = scan_id_at(time.time_ns() // 1_000_000 - 8 * 86_400_000)
    for scan_id in (old, used):
        data = f"scan_id={scan_id}"
        async with place.phone.session.post(f"/r/{token}", data=data, headers=FORM) as response:
            assert response.status == 200
            reference = re.search(r'id="reference">([^<]+)<', await response.text())
            assert reference is not None
            assert identifiers.is_uuid7(reference[1])
            assert reference[1] != scan_id
    assert await place.scans(token) == 2


# ---------------------------------------------------------------------- what a phone is sent


async def test_everything_a_phone_is_sent_is_small_and_ours(place: Place) -> None:
    token = await place.product()
    async with chromium(**NOT_DRIVEN) as browser, visitor(browser) as context:
        page = await context.new_page()
        wire = await context.new_cdp_session(page)
        await wire.send("Network.enable")
        sizes: list[float] = []
        wire.on("Network.loadingFinished", lambda one: sizes.append(one["encodedDataLength"]))
        urls: list[str] = []
        page.on("request", lambda request: urls.append(request.url))
        await page.goto(f"{place.url}/r/{token}", wait_until="networkidle")
        await reaches(page, "result")
        assert sizes
        assert sum(sizes) < MOST_BYTES
        assert [url for url in urls if not url.startswith(place.url)] == []
        manifest = await page.locator("link[rel=manifest]").get_attribute("href")
    async with place.phone.session.get(str(manifest)) as response:
        said = await response.json(content_type="application/manifest+json")
    for icon in said["icons"]:
        async with place.phone.session.get(icon["src"]) as response:
            assert (response.status, response.content_type) == (200, icon["type"])
    async with place.phone.session.get("/robots.txt") as response:
        assert "Disallow: /v1/" in await response.text()
