"""Signing in and out: a key for a session, whose cookie no script can read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from voketag.http.openapi import SESSION_HEADER
from voketag.http.requests import read_body
from voketag.http.routes import Route, json_response
from voketag.ops import session_cookie
from voketag.ops.access import CALLER
from voketag.ops.callers import Caller, Callers
from voketag.roles import Role


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /v1/session: the admin key, or an operator's."""

    key: Annotated[str, Meta(min_length=1, max_length=1024)]


class SessionAnswer(msgspec.Struct, frozen=True):
    """Who is calling. `expires_at` is when a session ends, null for who calls with a key."""

    name: str
    role: Role
    expires_at: datetime | None


_sign_in = msgspec.json.Decoder(SignIn)


class Session:
    """The routes over who is calling."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    async def sign_in(self, request: web.Request) -> web.Response:
        """Exchange a key for a session."""
        body = await read_body(request, _sign_in)
        caller, token = await self._callers.sign_in(request, body.key)
        assert caller.expires_at is not None
        left_s = (caller.expires_at - datetime.now(UTC)).total_seconds()
        response = json_response(_shown(caller))
        session_cookie.give(request, response, token, round(left_s))
        return response

    async def get(self, request: web.Request) -> web.Response:
        """Who is calling."""
        return json_response(_shown(request[CALLER]))

    async def sign_out(self, request: web.Request) -> web.Response:
        """End the session, if there is one."""
        await self._callers.sign_out(request)
        response = web.Response(status=204)
        session_cookie.take_away(response)
        return response


def _shown(caller: Caller) -> SessionAnswer:
    expires_at = caller.expires_at and caller.expires_at.replace(microsecond=0)
    return SessionAnswer(caller.actor.name, caller.actor.role, expires_at)


def routes(callers: Callers) -> list[Route]:
    """The routes of sessions."""
    over = Session(callers)
    path = "/v1/session"
    return [
        Route(
            "POST",
            path,
            over.sign_in,
            "Sign in: a key for a session's cookie",
            {200: SessionAnswer},
            body=SignIn,
            problems=(401, 429, 503),
        ),
        Route("GET", path, over.get, "Who is calling", {200: SessionAnswer}, security="viewer"),
        Route(
            "DELETE",
            path,
            over.sign_out,
            "Sign out, and have the browser forget the cookie",
            {204: None},
            headers={SESSION_HEADER: "Needed where there is a session: 1."},
            problems=(403, 429, 503),
        ),
    ]
