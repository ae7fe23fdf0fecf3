"""GET /verify: a page that checks a proof bundle in the visitor's browser, and asks us nothing."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping

from aiohttp import hdrs, web

from producers.page_assets import language_of
from producers.page_templates import language_links
from producers.page_words import PAGES, Words
from voketag.http.routes import Route
from voketag.http.whole_page import Markup, data_block, filled, joined, policy

# In the order in which one imports from another.
SCRIPTS = ("words", "hashes", "proof", "chain", "verification", "verify")
# The visitor names the server of the chain, so the page may speak to any; it sends what a JSON-RPC
# call holds. Everything else is in the page, whose forms are posted nowhere.
SOURCES = {
    "connect_src": "*",
    "img_src": "data:",
    "manifest_src": "'none'",
    "form_action": "'none'",
}


class VerifyPage:
    """The page in every language, made once."""

    def __init__(self, words: Mapping[str, Words]) -> None:
        style = (PAGES / "pages.css").read_text(encoding="utf-8")
        script = joined(PAGES / f"{name}.js" for name in SCRIPTS)
        template = (PAGES / "verify.html").read_text(encoding="utf-8")
        self._policy = policy(style, script, **SOURCES)
        # A saved page has no head of an answer; what a document cannot say for itself is left out.
        saved, _, _ = self._policy.rpartition("; frame-ancestors")
        icon = base64.b64encode((PAGES / "icon.svg").read_bytes()).decode()
        names = {language: one.table["language"] for language, one in words.items()}
        self._pages: dict[str, tuple[bytes, bytes]] = {}
        for language, one in words.items():
            slots = {
                **one.slots("page"),
                **one.slots("origin"),
                "language": language,
                "languages": language_links(names, language),
                "saved_policy": saved,
                "icon": f"data:image/svg+xml;base64,{icon}",
                "style": Markup(style),
                "script": Markup(script),
                "words": data_block({"locale": one.table["locale"], "origin": one.table["origin"]}),
            }
            page = filled(template, slots).encode()
            self._pages[language] = page, gzip.compress(page, mtime=0)

    def route(self) -> Route:
        """Its route."""
        summary = "Checks a proof bundle in the visitor's browser"
        return Route("GET", "/verify", self.get, summary, {200: "text/html"}, documented=False)

    async def get(self, request: web.Request) -> web.Response:
        """The page."""
        plain, compressed = self._pages[language_of(request)]
        headers: dict[str, str] = {
            hdrs.CACHE_CONTROL: "public, max-age=300",
            "Content-Security-Policy": self._policy,
            hdrs.CONTENT_TYPE: "text/html; charset=utf-8",
            hdrs.VARY: "Accept-Language, Accept-Encoding",
        }
        if "gzip" not in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            return web.Response(body=plain, headers=headers)
        headers[hdrs.CONTENT_ENCODING] = "gzip"
        return web.Response(body=compressed, headers=headers)
