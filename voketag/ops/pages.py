"""The pages of ops: HTML, styles and scripts that say nothing about the system by themselves, so
that they need no key. What they show they ask the API for, in the name of who is signed in.

Most pages are `pages/frame.html` with their names; a script begins with `run` of `pages/page.js`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from voketag.http.assets import assets, packaged, page
from voketag.http.routes import Route, json_response
from voketag.risk.countries import COUNTRIES

FOLDER = Path(__file__).with_name("pages")
PREFIX = "/pages/"


@dataclass(frozen=True)
class Framed:
    """A page in the frame: its script, its place in the navigation, its name, its own styles."""

    script: str
    place: str
    title: str
    styles: tuple[str, ...] = ("analyst.css",)

    @property
    def html(self) -> str:
        """The page itself."""
        links = [f'<link rel="stylesheet" href="{PREFIX}{name}">' for name in self.styles]
        frame = (FOLDER / "frame.html").read_text(encoding="utf-8")
        return frame.format(
            title=self.title, place=self.place, script=self.script, styles="\n".join(links)
        )


# What each page is for, by where it is.
FRAMED = {
    "/dead": Framed("dead.js", "dead", "Dead letters", ("analyst.css", "dead.css")),
    "/dead/{stream}/{entry_id}": Framed(
        "dead_letter.js", "dead", "Dead letter", ("analyst.css", "dead.css")
    ),
    "/batches": Framed("batches.js", "batches", "Batches"),
    "/batches/{id}": Framed("batch.js", "batches", "Batch"),
    "/products": Framed("products.js", "products", "Products"),
    "/products/{id}": Framed("product.js", "products", "Product"),
    "/reports": Framed("reports.js", "reports", "Fraud reports"),
    "/reports/{id}": Framed("report.js", "reports", "Fraud report"),
    "/statistics": Framed(
        "statistics.js", "statistics", "Statistics", ("uPlot.min.css", "analyst.css")
    ),
    "/factories": Framed("factories.js", "factories", "Factories"),
    "/factories/{id}": Framed("factory.js", "factories", "Factory"),
    "/operators": Framed("operators.js", "operators", "Operators"),
    "/audit": Framed("audit.js", "audit", "Audit log"),
}
UNFRAMED = {"/": "live.html", "/sign-in": "sign_in.html"}
PAGES = (*UNFRAMED, *FRAMED)
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
    own = [page(path, (FOLDER / name).read_text("utf-8")) for path, name in UNFRAMED.items()]
    framed = [page(path, one.html) for path, one in FRAMED.items()]
    answers = {200: dict[str, tuple[float, float]]}
    middles = Route("GET", CENTRES, centres, "Countries", answers, documented=False)
    return [*own, *framed, *assets(PREFIX, files()), middles]
