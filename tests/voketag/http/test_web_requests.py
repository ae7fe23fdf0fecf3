"""The HTTP frame through its door: what of a request is refused, and how."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.things_service import Caller, Service, serving
from voketag import identifiers
from voketag.http.requests import BODY_MAX_BYTES


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    async with serving(Service()) as opened:
        yield opened


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


async def test_what_names_nothing_is_not_found(caller: Caller) -> None:
    for path in ("/nothing", "/things/12", f"/things/{'x' * 36}", "/things/%00", "/keys/1"):
        assert (await caller.problem("GET", path, 405 if "keys" in path else 404))["code"]


async def test_a_wrong_method_is_told_the_right_ones(caller: Caller) -> None:
    async with caller.session.delete("/things") as response:
        assert response.status == 405
        assert {"GET", "POST"} <= set(response.headers["Allow"].split(", "))
        assert (await response.json(content_type=None))["code"] == "method_not_allowed"


async def test_what_can_be_got_can_be_asked_for_with_head(caller: Caller) -> None:
    for path, status in (("/healthz", 200), ("/things", 200), ("/readyz", 200), ("/nothing", 404)):
        async with caller.session.head(path) as response:
            assert response.status == status
            assert response.headers["X-Request-Id"]
            assert await response.read() == b""


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
