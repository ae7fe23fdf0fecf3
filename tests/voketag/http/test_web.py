"""The HTTP frame through its door: request ids, health, metrics, document, stopping."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.things_service import SETTINGS, Caller, Service, serving
from voketag import identifiers, metrics
from voketag.http import connections
from voketag.http.server import listening


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    async with serving(Service()) as opened:
        yield opened


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
    metrics.BURIED.labels("a stream of this test", "score").inc()
    left = {("score", "b1"): metrics.snapshot(), ("score", "b2"): metrics.snapshot()}
    text = metrics.exposition_of_all(left).decode()
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(names) == len(set(names))  # each metric once, whoever it comes from
    buried = [
        sample.labels["boot"]
        for family in families
        for sample in family.samples
        if sample.name == "voketag_entries_buried_total"
        and (sample.labels["stream"], sample.labels["group"]) == ("a stream of this test", "score")
    ]
    assert sorted(buried) == ["b1", "b2"]


async def test_the_document_describes_every_route_and_its_answers(caller: Caller) -> None:
    async with caller.session.get("/openapi.json") as response:
        document = await response.json()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {
        "/things",
        "/notes",
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
        "408",
        "413",
        "415",
        "422",
    }
    assert document["paths"]["/things"]["get"]["parameters"][0]["name"] == "limit"
    deleting = document["paths"]["/keys/{id}"]["delete"]
    assert deleting["security"] == [{"key": ["admin"]}, {"session": ["admin"]}]
    assert {"204", "401", "403", "404", "429", "503"} == set(deleting["responses"])
    operations = [item for path in document["paths"].values() for item in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)


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


async def test_f9_a_body_that_is_under_way_is_waited_for() -> None:
    body = b'{"name": "a"}'
    head = b"POST /things HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
    listener = listening(Service().application(), SETTINGS, 0)
    port = await listener.__aenter__()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head + b"Content-Length: 13\r\nExpect: 100-continue\r\n\r\n")
    assert b" 100 " in await reader.readuntil(b"\r\n\r\n")  # the request is being handled
    writer.write(body[:5])
    stopping = asyncio.create_task(listener.__aexit__(None, None, None))
    await _until_refused(port)
    writer.write(body[5:])
    answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert b"Connection: close" in answer
    await asyncio.wait_for(stopping, 5)
    writer.close()
    await writer.wait_closed()


REQUEST = b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n"


async def _open(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that has been accepted, and waits for its second request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST)
    await reader.readuntil(b"alive\n")
    return reader, writer


async def test_f9_a_request_that_comes_in_the_instant_of_the_stop_is_answered() -> None:
    listener = listening(Service().application(), SETTINGS, 0)
    port = await listener.__aenter__()
    reader, writer = await _open(port)
    stopping = asyncio.create_task(listener.__aexit__(None, None, None))
    await _until_refused(port)
    writer.write(REQUEST)
    answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"Connection: close" in answer
    await asyncio.wait_for(stopping, 5)
    writer.close()
    await writer.wait_closed()


async def test_f9_a_connection_that_stays_idle_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "LINGER_S", 0.1)
    listener = listening(Service().application(), SETTINGS, 0)
    port = await listener.__aenter__()
    reader, writer = await _open(port)
    await asyncio.wait_for(listener.__aexit__(None, None, None), 5)
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_f9_one_that_answers_for_ever_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("STOP_GRACE_S", 0.2), ("CUT_OFF_S", 0.1)):
        monkeypatch.setattr(connections, name, seconds)
    service = Service()
    listener = listening(service.application(), SETTINGS, 0)
    port = await listener.__aenter__()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /slow HTTP/1.1\r\nHost: here\r\n\r\n")
    await service.entered.wait()
    await asyncio.wait_for(listener.__aexit__(None, None, None), 5)
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


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
