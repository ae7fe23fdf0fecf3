"""/docs: the OpenAPI document of a process in Swagger UI, served by the process itself.

The viewer comes with `npm ci` (`make run` does it). Where it was not installed the process serves
all the same, and /docs says how to get it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

from voketag.http.assets import Asset, asset, assets, packaged, page
from voketag.http.problems import Problem
from voketag.http.routes import Handler, Route

PREFIX = "/docs/"
OWN = Path(__file__).with_name("docs_page")
VIEWER = ("swagger-ui.css", "swagger-ui-bundle.js")


def routes() -> list[Route]:
    """The routes of the viewer: its page, and the files that the page is made of."""
    try:
        viewer = {name: Late(packaged("swagger-ui-dist", name)).get for name in VIEWER}
    except FileNotFoundError as error:
        missing = _missing(str(error))
        return [_file("/docs", missing), *(_file(PREFIX + name, missing) for name in VIEWER)]
    return [
        page("/docs", (OWN / "page.html").read_text("utf-8")),
        *assets(PREFIX, (OWN / "page.css", OWN / "start.js")),
        *(_file(PREFIX + name, handler) for name, handler in viewer.items()),
    ]


class Late:
    """A large file, read and compressed when it is first asked for, beside the event loop: most
    processes are never asked for it.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._asset: Asset | None = None

    async def get(self, request: web.Request) -> web.Response:
        """The file."""
        if self._asset is None:
            self._asset = await asyncio.to_thread(asset, self._file)
        return await self._asset.get(request)


def _missing(said: str) -> Handler:
    async def refuse(_: web.Request) -> web.Response:
        more = "The document itself is at /openapi.json."
        raise Problem(404, "viewer_not_installed", f"{said} {more}")

    return refuse


def _file(path: str, handler: Handler) -> Route:
    return Route("GET", path, handler, path, {200: "*/*"}, documented=False)
