"""The AsyncAPI document of the streams, at /asyncapi.json."""

from __future__ import annotations

from aiohttp import web

from voketag import asyncapi
from voketag.http.routes import Route


def routes() -> list[Route]:
    """The route of the document. It says nothing of this system, so it needs no key."""
    encoded = asyncapi.as_json()

    async def get(_: web.Request) -> web.Response:
        return web.Response(body=encoded, content_type="application/json")

    return [
        Route(
            "GET",
            "/asyncapi.json",
            get,
            "The streams, as an AsyncAPI document",
            {200: "application/json"},
            documented=False,
        )
    ]
