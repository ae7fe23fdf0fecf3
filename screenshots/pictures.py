"""What is photographed, of whom, and when."""

from __future__ import annotations

from urllib.parse import quote

from playwright.async_api import Page

from screenshots.camera import Camera, Scheme
from screenshots.crowd import Crowd
from voketag.batches.answers import ProductLine
from voketag.ops.clients import Urls

BEATS_MS = 4000  # the live view shows a second at a time
ANSWERED_MS = 15_000


async def live(camera: Camera, name: str, size: str, scheme: Scheme) -> None:
    """The live view after some of its seconds."""
    async with camera.page(size, scheme, signed_in=True) as page:
        await page.goto(f"{camera.ops_url}/")
        await page.wait_for_timeout(BEATS_MS)
        await camera.take(page, name, whole=size == "phone")


async def of_ops(camera: Camera, crowd: Crowd) -> None:
    """The pages of analysts and administrators."""
    copied = crowd.copied.product_id
    shown: dict[str, tuple[str, str, Scheme]] = {
        "product": (f"/products/{copied}", "desktop", "light"),
        "product-phone": (f"/products/{copied}", "phone", "dark"),
        "reports": ("/reports", "desktop", "light"),
        "statistics": ("/statistics", "desktop", "dark"),
        "batch": (f"/batches/{crowd.batch_id}", "desktop", "light"),
        "factories": ("/factories", "desktop", "light"),
        "audit": ("/audit", "desktop", "dark"),
    }
    for name, (path, size, scheme) in shown.items():
        async with camera.page(size, scheme, signed_in=True) as page:
            await page.goto(f"{camera.ops_url}{path}")
            await page.wait_for_load_state("networkidle")
            await camera.take(page, name, whole=True)


async def dead_letter(camera: Camera, stream: str) -> None:
    """The list of dead letters, and the one of this stream opened."""
    async with camera.page("desktop", "light", signed_in=True) as page:
        await page.goto(f"{camera.ops_url}/dead")
        await page.wait_for_load_state("networkidle")
        await camera.take(page, "dead-letters")
        await page.locator(f"a[href*='/dead/{quote(stream, safe='')}/']").first.click()
        await page.wait_for_load_state("networkidle")
        await camera.take(page, "dead-letter")


async def of_consumers(camera: Camera, crowd: Crowd, where: Urls) -> None:
    """The page of a code, for the verdicts there are, in each language."""
    untouched = crowd.products[-1]
    forged = ProductLine(untouched.product_id, "", "B" * 50, "")
    shown: dict[str, tuple[ProductLine, str, Scheme]] = {
        "authentic": (untouched, "pt-BR", "light"),
        "high-risk": (crowd.copied, "en-GB", "dark"),
        "recalled": (crowd.recalled, "es-ES", "light"),
        "not-recognised": (forged, "en-GB", "light"),
    }
    for name, (product, locale, scheme) in shown.items():
        async with camera.page("phone", scheme, locale=locale) as page:
            await page.goto(f"{where.scan}/r/{product.token}")
            await _confirmed(page)
            await camera.take(page, f"phone-{name}", whole=True)
    async with camera.page("desktop", "light") as page:
        await page.goto(f"{where.scan}/verify")
        await camera.take(page, "verify")


async def _confirmed(page: Page) -> None:
    """The scan was confirmed, by the page itself or by its button, and answered."""
    async with page.expect_response("**/v1/scans", timeout=ANSWERED_MS):
        await page.touchscreen.tap(195, 400)
        button = page.locator("#check")
        if await button.is_visible():
            await button.tap()
    await page.wait_for_load_state("networkidle")


async def of_developers(camera: Camera, where: Urls) -> None:
    """The documentation of an API."""
    async with camera.page("desktop", "light") as page:
        await page.goto(f"{where.factory}/docs")
        await page.wait_for_load_state("networkidle")
        await camera.take(page, "docs")
