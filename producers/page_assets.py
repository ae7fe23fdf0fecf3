"""What pages share beside their words: the icon, the manifest of an installed page, robots.txt."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from aiohttp import hdrs, web

from producers.page_words import LANGUAGES, PAGES, Words
from voketag.http import languages
from voketag.http.assets import assets
from voketag.http.routes import Route

# Crawlers that run scripts are asked to post nothing; the pages themselves may be previewed.
_ROBOTS = "User-agent: *\nDisallow: /v1/\n"
_ICONS = ("icon.svg", "icon-192.png")
_SHORT_CACHE = {hdrs.CACHE_CONTROL: "public, max-age=3600"}


def language_of(request: web.Request, asked: str | None = None) -> str:
    """The language of a page: `asked`, the query's `lang`, or what the browser prefers."""
    accepted = ",".join(request.headers.getall(hdrs.ACCEPT_LANGUAGE, ()))
    return languages.chosen(asked or request.query.get("lang"), accepted, LANGUAGES)


def routes(words: Mapping[str, Words]) -> list[Route]:
    """The routes of these files."""
    manifests = {language: _manifest(one) for language, one in words.items()}

    async def manifest(request: web.Request) -> web.Response:
        headers = {**_SHORT_CACHE, hdrs.VARY: hdrs.ACCEPT_LANGUAGE}
        body = manifests[language_of(request)]
        return web.Response(body=body, content_type="application/manifest+json", headers=headers)

    async def robots(_: web.Request) -> web.Response:
        return web.Response(text=_ROBOTS, headers=_SHORT_CACHE)

    return [
        *assets("/", [PAGES / name for name in _ICONS]),
        Route(
            "GET",
            "/manifest.webmanifest",
            manifest,
            "What an installed page is called",
            {200: "application/manifest+json"},
            documented=False,
        ),
        Route(
            "GET",
            "/robots.txt",
            robots,
            "What crawlers are asked to leave alone",
            {200: "text/plain"},
            documented=False,
        ),
    ]


def _manifest(words: Words) -> bytes:
    """A web app manifest (W3C). An installed page opens the one that needs no code."""
    page = words.table["page"]
    return msgspec.json.encode(
        {
            "name": page["brand"],
            "short_name": page["brand"],
            "description": page["description"],
            "lang": words.language,
            "start_url": f"/verify?lang={words.language}",
            "scope": "/",
            "display": "minimal-ui",
            "background_color": "#f5f6f8",
            "theme_color": "#14181f",
            "icons": [
                {"src": "/icon.svg", "sizes": "any", "type": "image/svg+xml"},
                {"src": "/icon-192.png", "sizes": "192x192", "type": "image/png"},
            ],
        }
    )
