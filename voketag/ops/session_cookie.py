"""The cookie of a session, and what a request that comes with it has to show.

A browser sends cookies by itself, whoever made it send the request. SameSite=Strict keeps them from
other sites; a page at another port of this host is none, so a change also needs a header of ours,
which no page elsewhere may set, and an origin that is our own where the browser says one.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import hdrs, web

from voketag.http.openapi import SESSION_COOKIE, SESSION_HEADER
from voketag.http.problems import Problem

# RFC 6265bis, section 4.1.3.2: a browser takes `__Host-` over TLS alone, and from this very host.
NAME, SECURE_NAME = SESSION_COOKIE, f"__Host-{SESSION_COOKIE}"


def read(request: web.Request) -> str | None:
    """The token in a request's cookie."""
    return request.cookies.get(SECURE_NAME) or request.cookies.get(NAME)


def give(request: web.Request, response: web.Response, token: str, lifetime_s: int) -> None:
    """Have the browser keep a token until it expires.

    Over plain HTTP, on the loopback address, there is no Secure cookie.
    """
    secure = _over_tls(request)
    response.set_cookie(
        SECURE_NAME if secure else NAME,
        token,
        max_age=lifetime_s,
        path="/",
        secure=secure,
        httponly=True,
        samesite="Strict",
    )


def take_away(response: web.Response) -> None:
    """Have the browser forget it."""
    for name in (SECURE_NAME, NAME):
        response.set_cookie(
            name,
            "",
            max_age=0,
            path="/",
            secure=name == SECURE_NAME,
            httponly=True,
            samesite="Strict",
        )


def refuse_forged(request: web.Request) -> None:
    """Raises Problem 403 for a change that a page of ours cannot have asked for."""
    if request.headers.get(SESSION_HEADER) != "1":
        raise _forged(f"A change in a session needs the header {SESSION_HEADER}: 1.")
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site != "same-origin":
            raise _forged(f"Sec-Fetch-Site is {site!r}: a page of this origin has to ask.")
        return
    # Not sent over plain HTTP but from localhost. A proxy that changes Host is one with TLS.
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and urlsplit(origin).netloc.lower() != request.host.lower():
        raise _forged("Origin is another one: a page of this origin has to ask.")


def _over_tls(request: web.Request) -> bool:
    """Whether the browser speaks TLS, to a proxy in front of us. Whoever claims it wrongly gets a
    cookie that is of no use to him.
    """
    forwarded = request.headers.get(hdrs.X_FORWARDED_PROTO, "").lower() == "https"
    return forwarded or request.headers.get(hdrs.ORIGIN, "").lower().startswith("https://")


def _forged(detail: str) -> Problem:
    return Problem(403, "cross_site", detail)
