"""The HTTP frame through its door: errors, limits, request ids, health, metrics, stopping."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from tests.factory_floor import settings_for
from voketag import identifiers, metrics
from voketag.errors import InvalidField, Unavailable
from voketag.web import (
    BODY_MAX_BYTES,
    Problem,
    Route,
    application,
    bearer,
    json_response,
    listening,
    path_id,
    read_body,
    read_query,
)

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
        raise {
            "bug": ValueError("the password is hunter2"),
            "away": Unavailable("postgres: 10.0.0.7 refused"),
            "field": InvalidField("serials", "Each is given once.", "duplicate_serial"),
            "problem": Problem(409, "taken", "Take another.", {"X-More": "yes"}),
        }[request.match_info["how"]]

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
                Route("GET", "/things", self.listed, "List", {200: ThingQuery}, query=ThingQuery),
                Route("GET", "/things/{id}", self.get, "One", {200: dict}),
                Route("DELETE", "/keys/{id}", self.guarded, "Go", {204: None}, security="admin"),
                Route("GET", "/fail/{how}", self.fail, "Fail", {200: "text/plain"}),
                Route("GET", "/slow", self.slow, "Wait", {200: dict}),
            ],
            self.ready,
        )


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


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    async with serving(Service()) as opened:
        yield opened


# ---------------------------------------------------------------------- bodies and queries

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 400, "malformed_json"),
        (b"{", 400, "malformed_json"),
        (b'{"name": "\xff"}', 400, "malformed_json"),
        (b'{"name": "\\ud800"}', 400, "malformed_json"),
        (b'{"name": "a"} b', 400, "malformed_json"),
        (b'{"name": "a", "inside": ' + b"[" * 4000, 400, "malformed_json"),
        (b"[]", 422, "invalid_field"),
        (b"{}", 422, "invalid_field"),
        (b'{"name": 1}', 422, "invalid_field"),
        (b'{"name": "a", "more": 1}', 422, "invalid_field"),
        (b'{"name": "12345678901"}', 422, "invalid_field"),
        (b" " * (BODY_MAX_BYTES + 1), 413, "body_too_large"),
    ],
)
async def test_a_bad_body_is_refused_with_its_status_and_a_sentence(
    caller: Caller, data: bytes, status: int, code: str
) -> None:
    body = await caller.problem("POST", "/things", status, data=data, headers=JSON)
    assert body["code"] == code
    assert body["detail"].endswith(".")


async def test_a_body_without_a_length_is_limited_too(caller: Caller) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(BODY_MAX_BYTES // 1024 + 1):
            yield b" " * 1024

    body = await caller.problem("POST", "/things", 413, data=endless(), headers=JSON)
    assert str(BODY_MAX_BYTES) in body["detail"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_only_json_is_read(caller: Caller, kind: str) -> None:
    headers = {"Content-Type": kind}
    body = await caller.problem("POST", "/things", 415, data=b'{"name": "a"}', headers=headers)
    assert "application/json" in body["detail"]


async def test_a_good_body_of_the_largest_size_is_read(caller: Caller) -> None:
    data = b'{"name": "a"}'.ljust(BODY_MAX_BYTES)
    headers = {"Content-Type": "application/json; charset=utf-8"}
    async with caller.session.post("/things", data=data, headers=headers) as response:
        assert response.status == 201
        assert await response.json() == {"name": "a", "inside": None}


async def test_queries_are_checked(caller: Caller) -> None:
    async with caller.session.get("/things?limit=7&other=ignored") as response:
        assert await response.json() == {"limit": 7}
    for query in ("limit=0", "limit=11", "limit=x", "limit="):
        body = await caller.problem("GET", f"/things?{query}", 422)
        assert body["code"] == "invalid_parameter"
        assert "limit" in body["detail"]


# ---------------------------------------------------------------------- errors


async def test_what_names_nothing_is_not_found(caller: Caller) -> None:
    for path in ("/nothing", "/things/12", f"/things/{'x' * 36}", "/things/%00", "/keys/1"):
        assert (await caller.problem("GET", path, 405 if "keys" in path else 404))["code"]


async def test_a_wrong_method_is_told_the_right_ones(caller: Caller) -> None:
    async with caller.session.delete("/things") as response:
        assert response.status == 405
        assert {"GET", "POST"} <= set(response.headers["Allow"].split(", "))
        assert (await response.json(content_type=None))["code"] == "method_not_allowed"


async def test_an_error_says_what_the_caller_can_do(caller: Caller) -> None:
    assert await caller.problem("GET", "/fail/field", 422) == {
        "type": "about:blank#duplicate_serial",
        "title": "Invalid field",
        "status": 422,
        "detail": "Each is given once.",
        "code": "duplicate_serial",
        "field": "serials",
    }
    async with caller.session.get("/fail/problem") as response:
        assert response.status == 409
        assert response.headers["X-More"] == "yes"
    async with caller.session.get("/fail/away") as response:
        assert response.status == 503
        assert int(response.headers["Retry-After"]) > 0
        assert "10.0.0.7" not in await response.text()


async def test_a_bug_of_ours_tells_nothing_of_itself(caller: Caller) -> None:
    body = await caller.problem("GET", "/fail/bug", 500)
    assert body["code"] == "internal_error"
    assert "hunter2" not in str(body)


async def test_a_missing_key_is_asked_for(caller: Caller) -> None:
    path = f"/keys/{identifiers.new_id()}"
    for given in (None, "Basic abc", "Bearer", "Bearer "):
        headers = {} if given is None else {"Authorization": given}
        async with caller.session.delete(path, headers=headers) as response:
            assert response.status == 401
            assert response.headers["WWW-Authenticate"] == "Bearer"


# ---------------------------------------------------------------------- request ids


async def test_every_answer_carries_a_request_id(caller: Caller) -> None:
    async with caller.session.get("/healthz", headers={"X-Request-Id": "abc-1.Z_"}) as response:
        assert response.headers["X-Request-Id"] == "abc-1.Z_"
    seen = set()
    for given in ("", "a b", "x" * 65, "a\tb", "\u00e9"):
        headers = {"X-Request-Id": given}
        async with caller.session.get("/nothing", headers=headers) as response:
            seen.add(response.headers["X-Request-Id"])
            assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert len(seen) == 5
    assert all(identifiers.is_uuid7(request_id) for request_id in seen)


# ---------------------------------------------------------------------- health, metrics, document


async def test_alive_and_ready_are_told_apart(caller: Caller) -> None:
    caller.service.away = True
    async with caller.session.get("/healthz") as response:
        assert response.status == 200
    body = await caller.problem("GET", "/readyz", 503)
    assert "10.0.0.7" not in str(body)
    caller.service.away = False
    async with caller.session.get("/readyz") as response:
        assert response.status == 200


async def test_requests_are_counted_by_route_and_not_by_path(caller: Caller) -> None:
    secret = str(identifiers.new_id())
    for path in (f"/things/{secret}", f"/{secret}"):
        async with caller.session.get(path) as response:
            await response.read()
    async with caller.session.get("/metrics") as response:
        text = await response.text()
    assert secret not in text
    routes = {
        sample.labels["route"]
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "voketag_http_requests_total"
    }
    assert {"/things/{id}", "(none)"} <= routes


def test_snapshots_of_other_processes_are_served_with_their_names() -> None:
    metrics.BURIED.labels("scans:{0}", "score").inc()
    left = {("score", "b1"): metrics.snapshot(), ("score", "b2"): metrics.snapshot()}
    text = metrics.exposition(left).decode()
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(names) == len(set(names))  # each metric once, whoever it comes from
    buried = [
        sample.labels.get("boot")
        for family in families
        for sample in family.samples
        if sample.name == "voketag_entries_buried_total" and sample.labels["group"] == "score"
    ]
    assert {"b1", "b2"} <= set(buried)


async def test_the_document_describes_every_route_and_its_answers(caller: Caller) -> None:
    async with caller.session.get("/openapi.json") as response:
        document = await response.json()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {
        "/things",
        "/things/{id}",
        "/keys/{id}",
        "/fail/{how}",
        "/slow",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    assert set(document["paths"]["/things"]["post"]["responses"]) == {
        "201",
        "400",
        "413",
        "415",
        "422",
    }
    assert document["paths"]["/things"]["get"]["parameters"][0]["name"] == "limit"
    deleting = document["paths"]["/keys/{id}"]["delete"]
    assert deleting["security"] == [{"admin": []}]
    assert {"204", "401", "404", "503"} == set(deleting["responses"])
    operations = [item for path in document["paths"].values() for item in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)


# ---------------------------------------------------------------------- stopping


async def test_f9_what_is_in_flight_is_answered_and_nothing_new_is_taken() -> None:
    service = Service()
    app = service.application()
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        listener = listening(app, SETTINGS, 0)
        port = await listener.__aenter__()
        url = f"http://127.0.0.1:{port}"
        answering = asyncio.create_task(_answer(session, f"{url}/slow"))
        await service.entered.wait()
        stopping = asyncio.create_task(listener.__aexit__(None, None, None))
        await _until_refused(port)
        assert not answering.done()
        service.go_on.set()
        assert await answering == {"done": True}
        await stopping


async def _answer(session: aiohttp.ClientSession, url: str) -> Any:
    async with session.get(url) as response:
        return await response.json()


async def _until_refused(port: int) -> None:
    with contextlib.suppress(ConnectionRefusedError, ConnectionResetError):
        while True:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await writer.wait_closed()


async def test_f9_a_new_version_listens_on_the_port_before_the_old_one_has_left() -> None:
    old, new = Service(), Service()
    async with (
        listening(old.application(), SETTINGS, 0) as port,
        listening(new.application(), SETTINGS, port) as same,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/healthz") as response,
    ):
        assert same == port
        assert response.status == 200
