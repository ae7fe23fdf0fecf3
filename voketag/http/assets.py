"""Pages, and the files they are made of: served by us alone, and nothing else runs in them."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from collections.abc import Iterable
from pathlib import Path

from aiohttp import hdrs, web

from voketag.http.routes import Route

REPOSITORY = Path(__file__).parents[2]
PACKAGES = REPOSITORY / "node_modules"
# What a page may do: run our scripts and styles, show our pictures, speak to this server.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_COMPRESSED = ("text/", "application/json", "image/svg+xml")


class Asset:
    """A file as it is answered: compressed once, and sent again only if it changed."""

    def __init__(self, body: bytes, kind: str) -> None:
        self._bodies = {"identity": body}
        if kind.startswith(_COMPRESSED):
            self._bodies["gzip"] = gzip.compress(body, mtime=0)
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        self._headers: dict[str, str] = {
            hdrs.CACHE_CONTROL: "no-cache",
            hdrs.ETAG: tag,
            hdrs.VARY: "Accept-Encoding",
        }
        self._headers[hdrs.CONTENT_TYPE] = kind + (
            "; charset=utf-8" if "gzip" in self._bodies else ""
        )
        if kind == "text/html":
            self._headers["Content-Security-Policy"] = POLICY
        self._tag = tag

    async def get(self, request: web.Request) -> web.Response:
        """The file, or 304 for who has it (RFC 9110, section 13.1.2)."""
        known = request.headers.get(hdrs.IF_NONE_MATCH, "")
        if self._tag in (tag.strip().removeprefix("W/") for tag in known.split(",")):
            return web.Response(status=304, headers=self._headers)
        accepted = request.headers.get(hdrs.ACCEPT_ENCODING, "")
        coding = "gzip" if "gzip" in self._bodies and "gzip" in accepted else "identity"
        headers = dict(self._headers)
        if coding != "identity":
            headers[hdrs.CONTENT_ENCODING] = coding
        return web.Response(body=self._bodies[coding], headers=headers)


def page(path: str, html: str) -> Route:
    """The route of a page. It says nothing about the system, so it needs no key."""
    whole = Asset(html.encode(), "text/html")
    return Route("GET", path, whole.get, "A page", {200: "text/html"}, documented=False)


def assets(prefix: str, files: Iterable[Path]) -> list[Route]:
    """The routes of files that pages are made of, each under `prefix` and its own name."""
    return [
        Route(
            "GET",
            f"{prefix}{file.name}",
            asset(file).get,
            file.name,
            {200: "*/*"},
            documented=False,
        )
        for file in files
    ]


def asset(file: Path) -> Asset:
    """A file as an asset, of the kind that its name says."""
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    kind = kind.replace("application/javascript", "text/javascript")  # RFC 9239
    return Asset(file.read_bytes(), kind)


def packaged(*parts: str) -> Path:
    """A file of a package that npm installed.

    Raises FileNotFoundError, which says what to do.
    """
    file = PACKAGES.joinpath(*parts)
    if not file.is_file():
        raise FileNotFoundError(f"{'/'.join(parts)} is not installed: `make run` installs it.")
    return file
