"""A small HTTP service whose handlers fail in every way there is, and someone who calls it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

import aiohttp
import msgspec
from aiohttp import web

from tests.factory_floor import settings_for
from voketag.errors import InvalidField, Unavailable
from voketag.http.problems import Problem
from voketag.http.requests import bearer, decode_body, path_id, read_body, read_query
from voketag.http.routes import Posted, Route, SmallPost, json_response
from voketag.http.server import application, listening

SETTINGS = settings_for("redis://127.0.0.1:1/0", "postgresql://127.0.0.1:1/none")


class Thing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A body."""

    name: Annotated[str, msgspec.Meta(max_length=10)]
    inside: list[Any] | None = None


class ThingQuery(msgspec.Struct, frozen=True):
    """A query."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=10)] = 5


_decoder = msgspec.json.Decoder(Thing)


class Service:
    """A small service whose handlers fail in every way there is."""

    def __init__(self) -> None:
        self.away = False
        self.entered = asyncio.Event()
        self.go_on = asyncio.Event()
        self.noted = asyncio.Event()

    async def ready(self) -> None:
        if self.away:
            raise Unavailable("redis: connection refused to 10.0.0.7")

    async def post(self, request: web.Request) -> web.Response:
        return json_response(await read_body(request, _decoder), 201)

    async def get(self, request: web.Request) -> web.Response:
        return json_response({"id": str(path_id(request))})

    async def listed(self, request: web.Request) -> web.Response:
        return json_response(read_query(request, ThingQuery))

    async def guarded(self, request: web.Request) -> web.Response:
        return json_response({"key": bearer(request)})

    async def fail(self, request: web.Request) -> web.Response:
        raise _failures()[request.match_info["how"]]

    async def note(self, posted: Posted) -> bytes:
        """A small post: it fails as the name says, waits if that is "slow", or gives it back."""
        thing = decode_body(posted.body, _decoder)
        if thing.name in (failures := _failures()):
            raise failures[thing.name]
        if thing.name == "slow":
            self.entered.set()
            await self.go_on.wait()
            self.noted.set()
        return msgspec.json.encode({"name": thing.name, "from": posted.remote})

    async def slow(self, _: web.Request) -> web.Response:
        self.entered.set()
        await self.go_on.wait()
        return json_response({"done": True})

    def application(self) -> web.Application:
        """A fresh application over these handlers."""
        return application(
            "Things",
            [
                Route("POST", "/things", self.post, "Make", {201: Thing}, body=Thing),
                Route("POST", "/notes", SmallPost(self.note), "Note", {200: dict}, body=Thing),
                Route("GET", "/things", self.listed, "List", {200: ThingQuery}, query=ThingQuery),
                Route("GET", "/things/{id}", self.get, "One", {200: dict}),
                Route("DELETE", "/keys/{id}", self.guarded, "Go", {204: None}, security="admin"),
                Route("GET", "/fail/{how}", self.fail, "Fail", {200: "text/plain"}),
                Route("GET", "/slow", self.slow, "Wait", {200: dict}),
            ],
            self.ready,
        )


def _failures() -> dict[str, Exception]:
    return {
        "bug": ValueError("the password is hunter2"),
        "away": Unavailable("postgres: 10.0.0.7 refused"),
        "field": InvalidField("serials", "Each is given once.", "duplicate_serial"),
        "problem": Problem(409, "taken", "Take another.", {"X-More": "yes"}),
    }


class Caller:
    """Someone who calls the service."""

    def __init__(self, session: aiohttp.ClientSession, service: Service) -> None:
        self.session = session
        self.service = service

    async def problem(self, method: str, path: str, status: int, **request: Any) -> dict[str, Any]:
        """The problem details that a request is answered with."""
        async with self.session.request(method, path, **request) as response:
            assert response.status == status, await response.text()
            assert response.content_type == "application/problem+json"
            assert response.headers["X-Request-Id"]
            body = await response.json(content_type=None)
        assert body["status"] == status
        assert set(body) - {"field"} == {"type", "title", "status", "detail", "code"}
        assert body["type"] == f"about:blank#{body['code']}"
        return dict(body)


@contextlib.asynccontextmanager
async def serving(service: Service) -> AsyncIterator[Caller]:
    async with (
        listening(service.application(), SETTINGS, 0) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        yield Caller(session, service)
