"""Who may use ops: the holder of the admin key, compared in constant time."""

from __future__ import annotations

import hmac
from dataclasses import replace

from aiohttp import web

from voketag.http.guesses import GUESSES
from voketag.http.problems import unauthorised
from voketag.http.requests import bearer
from voketag.http.routes import Handler, Route


def guarded(route: Route, admin_key: str) -> Route:
    """The same route behind the admin key, if its security says so."""
    if route.security != "admin":
        return route
    return replace(route, handler=_with_key(route.handler, admin_key.encode()))


def _with_key(handler: Handler, admin_key: bytes) -> Handler:
    async def checked(request: web.Request) -> web.StreamResponse:
        given = bearer(request).encode("utf-8", "surrogateescape")
        guesses = request.app[GUESSES]
        guesses.refuse(request)
        if not hmac.compare_digest(given, admin_key):
            guesses.note(request)
            raise unauthorised("This is not the admin key of this VokeTag.")
        return await handler(request)

    return checked
