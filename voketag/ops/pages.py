"""The pages of ops: HTML, styles and scripts that say nothing about the system by themselves, so
that they need no key. What they show they ask the API for, in the name of who is signed in.

Every page has the frame of `pages/dead.html`; its script begins with `run` of `pages/page.js`.
"""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from voketag.http.assets import assets, packaged, page
from voketag.http.routes import Route, json_response
from voketag.risk.countries import COUNTRIES

FOLDER = Path(__file__).with_name("pages")
PREFIX = "/pages/"
# Where each page is, and its file.
PAGES = {
    "/": ("live.html", "The live view"),
    "/sign-in": ("sign_in.html", "Where a key is exchanged for a session"),
    "/dead": ("dead.html", "The dead letters"),
    "/dead/{stream}/{entry_id}": ("dead_letter.html", "A dead letter"),
    "/batches": ("batches.html", "The batches of every factory"),
    "/batches/{id}": ("batch.html", "A batch and its way to the chain"),
    "/products": ("products.html", "Finding a product"),
    "/products/{id}": ("product.html", "A product, its risk and its scans"),
    "/reports": ("reports.html", "What people reported"),
    "/reports/{id}": ("report.html", "A report, and what is decided about it"),
    "/statistics": ("statistics.html", "The scans of each day"),
    "/factories": ("factories.html", "The factories"),
    "/factories/{id}": ("factory.html", "A factory and its keys"),
    "/operators": ("operators.html", "Who uses these pages"),
    "/audit": ("audit.html", "Who changed what"),
}
CENTRES = PREFIX + "countries.json"


def files() -> list[Path]:
    """The files that pages are made of, those of the charts among them."""
    ours = sorted(file for file in FOLDER.iterdir() if file.suffix in (".css", ".js", ".svg"))
    return [*ours, *(packaged("uplot", "dist", name) for name in ("uPlot.esm.js", "uPlot.min.css"))]


async def centres(_: web.Request) -> web.Response:
    """Where the middle of each country is, as latitude and longitude, for maps."""
    places = {code: (country.lat, country.lon) for code, country in COUNTRIES.items()}
    return json_response(places, headers={"Cache-Control": "max-age=3600"})


def routes() -> list[Route]:
    """The routes of the pages and of their files."""
    pages = [page(path, FOLDER / name, summary) for path, (name, summary) in PAGES.items()]
    answers = {200: dict[str, tuple[float, float]]}
    middles = Route("GET", CENTRES, centres, "Countries", answers, documented=False)
    return [*pages, *assets(PREFIX, files()), middles]
