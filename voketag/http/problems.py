"""What goes wrong, told as problem details (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

PROBLEM_JSON = "application/problem+json"
_TITLES = {
    400: "Malformed request",
    401: "Authentication required",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "No acceptable media type",
    408: "Request too slow",
    409: "Conflict",
    413: "Body too large",
    415: "Media type not accepted",
    422: "Invalid field",
    429: "Too many requests",
    431: "Request header fields too large",
    500: "Internal error",
    503: "Temporarily unavailable",
}


class Problem(Exception):
    """An answer that is an error. `code` is stable; `detail` says what is accepted."""

    def __init__(
        self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})


class ProblemDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 9457 problem details, with our stable `code` and, for a bad value, its `field`."""

    type: str
    title: Annotated[str, Meta(description="What the status means.")]
    status: int
    detail: Annotated[str, Meta(description="What was wrong and what is accepted, for a person.")]
    code: Annotated[str, Meta(description="Stable: what a program decides by.")]
    field: Annotated[str | None, Meta(description="Where a value is bad, its name.")] = None


def problem(
    status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, field: str = ""
) -> web.Response:
    """An error answer as application/problem+json; one with `Connection: close` ends it."""
    response = web.Response(
        status=status,
        body=msgspec.json.encode(details(status, code, detail, field)),
        content_type=PROBLEM_JSON,
        headers=headers,
    )
    if response.headers.get("Connection") == "close":
        response.force_close()  # the header alone does not
    return response


def details(status: int, code: str, detail: str, field: str = "") -> ProblemDetails:
    """The body of an error answer."""
    title = _TITLES.get(status, "Error")
    return ProblemDetails(f"about:blank#{code}", title, status, detail, code, field or None)


def not_found(what: str = "There is nothing with this id.") -> Problem:
    """The answer for what does not exist, or is not the caller's to see."""
    return Problem(404, "not_found", what)


def unauthorised(detail: str) -> Problem:
    """The answer to a missing, unknown, revoked or expired key."""
    return Problem(401, "unauthorised", detail, {"WWW-Authenticate": "Bearer"})
