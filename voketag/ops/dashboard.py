"""The dashboard: one page that holds all it needs and shows nothing until a key is typed in."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from aiohttp import web

from voketag.http.routes import Route

PAGE = Path(__file__).with_name("dashboard.html")


def routes() -> list[Route]:
    """The route of the dashboard. The page itself says nothing about the system, so it needs no
    key; what it shows it asks for with the one that is typed in.
    """
    page = PAGE.read_text(encoding="utf-8")
    headers = {
        "Content-Security-Policy": content_security_policy(page),
        "Cache-Control": "no-cache",
    }

    async def get(_: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html", headers=headers)

    return [Route("GET", "/", get, "The dashboard", {200: "text/html"})]


def content_security_policy(page: str) -> str:
    """A policy that lets exactly the style and the script of this page run, named by their hashes,
    and lets them speak to this server alone.
    """
    style, script = (_hash(page, tag) for tag in ("style", "script"))
    return (
        f"default-src 'none'; style-src '{style}'; script-src '{script}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _hash(page: str, tag: str) -> str:
    content = re.search(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    if content is None:
        raise ValueError(f"the dashboard has no <{tag}>")
    digest = hashlib.sha256(content[1].encode()).digest()
    return "sha256-" + base64.b64encode(digest).decode()
