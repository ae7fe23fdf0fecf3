"""A route as data: the server is made from it, and so is the OpenAPI document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from voketag.http.requests import JSON, read_bytes
from voketag.roles import Role

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Posted(msgspec.Struct, frozen=True):
    """A small body, and who posted it: the headers, and the address of the other end."""

    headers: CIMultiDict[str] | CIMultiDictProxy[str]
    remote: str | None
    body: bytes


@dataclass(frozen=True)
class SmallPost:
    """The handler of a POST with a small JSON body, which is answered with 200 and the JSON that
    `answer` gives, or with what it raises. Plain requests go the short way (http/short_way.py).
    """

    answer: Callable[[Posted], Awaitable[bytes]]

    async def __call__(self, request: web.Request) -> web.Response:
        """Answer a request on aiohttp's way."""
        body = await read_bytes(request)
        told = await self.answer(Posted(request.headers, request.remote, body))
        return web.Response(body=told, content_type=JSON)


@dataclass(frozen=True)
class Route:
    """One HTTP route: what it answers with, for the server and for the OpenAPI document.

    `answers` maps each success status to the type of its body, or to a media type for one that is
    not JSON, or to None for no body. `patterns` says what a parameter of the path looks like, where
    not every segment will do: any other path is none of this route's. `examples` are bodies to
    send, by what is said of them; without them one is made from the type. `problems` are the error
    statuses that this route adds to those every route of its kind has. `security` says who may: a
    factory with its key, or an operator with at least this role. Pages and their files are
    for people, and not `documented` for programs.
    """

    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    handler: Handler
    summary: str
    answers: Mapping[int, Any]
    body: Any = None
    body_required: bool = True
    examples: Mapping[str, Any] = field(default_factory=dict)
    query: Any = None
    patterns: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str | Mapping[str, Any]] = field(default_factory=dict)
    problems: Sequence[int] = ()
    security: Literal["factory"] | Role | None = None
    documented: bool = True


def json_response(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A msgspec value as a JSON answer."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(value),
        content_type=JSON,
        headers=headers,
    )
