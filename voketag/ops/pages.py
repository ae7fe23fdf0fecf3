"""The pages of ops: HTML, styles and scripts that say nothing about the system by themselves, so
that they need no key. What they show they ask the API for, in the name of who is signed in.

Every page has the frame of `pages/dead.html`; its script begins with `run` of `pages/page.js`.
"""

from __future__ import annotations

from pathlib import Path

from voketag.http.assets import assets, packaged, page
from voketag.http.routes import Route

FOLDER = Path(__file__).with_name("pages")
PREFIX = "/pages/"
# Where each page is, and its file.
PAGES = {
    "/": ("live.html", "The live view"),
    "/sign-in": ("sign_in.html", "Where a key is exchanged for a session"),
    "/dead": ("dead.html", "The dead letters"),
    "/dead/{stream}/{entry_id}": ("dead_letter.html", "A dead letter"),
}


def files() -> list[Path]:
    """The files that pages are made of, those of the charts among them."""
    ours = sorted(file for file in FOLDER.iterdir() if file.suffix in (".css", ".js", ".svg"))
    return [*ours, *(packaged("uplot", "dist", name) for name in ("uPlot.esm.js", "uPlot.min.css"))]


def routes() -> list[Route]:
    """The routes of the pages and of their files."""
    pages = [page(path, FOLDER / name, summary) for path, (name, summary) in PAGES.items()]
    return pages + assets(PREFIX, files())
