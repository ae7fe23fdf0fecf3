"""Plain small posts: answered as aiohttp's way answers them, one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from tests.things_service import SETTINGS, Service
from voketag import metrics
from voketag.http.bounds import Bounds
from voketag.http.requests import BODY_MAX_BYTES
from voketag.http.server import listening

HEAD = b"POST /notes HTTP/1.1\r\nHost: here\r\nX-Request-Id: mine\r\n"
PLAIN = b"application/json"
UNUSUAL = b"application/json; charset=utf-8"  # right, but not plain
TIMEOUT_S = 10.0


def note(name: str, kind: bytes = PLAIN, more: bytes = b"") -> bytes:
    return post(json.dumps({"name": name}).encode(), kind, more)


def post(body: bytes, kind: bytes = PLAIN, more: bytes = b"") -> bytes:
    length = b"Content-Length: %d\r\n" % len(body)
    return HEAD + b"Content-Type: " + kind + b"\r\n" + length + more + b"\r\n" + body


class Wire:
    """A client that writes bytes and reads whole answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def answer(self) -> tuple[bytes, dict[bytes, bytes], bytes]:
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), TIMEOUT_S)
        status, *lines = head.strip().split(b"\r\n")
        headers = {name.lower(): value for name, _, value in (x.partition(b": ") for x in lines)}
        body = await self.reader.readexactly(int(headers[b"content-length"]))
        return status, headers, body

    async def asked(self, sent: bytes) -> tuple[bytes, dict[bytes, bytes], bytes]:
        self.writer.write(sent)
        return await self.answer()

    async def name(self) -> str:
        status, _, body = await self.answer()
        assert b" 200 " in status
        return str(json.loads(body)["name"])

    async def ended(self) -> bool:
        return await asyncio.wait_for(self.reader.read(), TIMEOUT_S) == b""


@contextlib.asynccontextmanager
async def wired(service: Service, within: Bounds | None = None) -> AsyncIterator[Wire]:
    async with listening(service.application(), SETTINGS, 0, within) as port, dialled(port) as wire:
        yield wire


@contextlib.asynccontextmanager
async def dialled(port: int) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    yield Wire(reader, writer)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def without_date(headers: dict[bytes, bytes]) -> dict[bytes, bytes]:
    return {name: value for name, value in headers.items() if name != b"date"}


@pytest.mark.parametrize("name", ["good", "bug", "away", "field", "problem", "far too long a name"])
async def test_both_ways_give_the_same_answer(name: str) -> None:
    async with wired(Service()) as wire:
        with capture_logs() as logs:
            short = await wire.asked(note(name))
            usual = await wire.asked(note(name, UNUSUAL))
    assert short[0] == usual[0]
    assert without_date(short[1]) == without_date(usual[1])
    assert short[2] == usual[2]
    assert short[1][b"x-request-id"] == b"mine"
    assert short[1][b"date"].endswith(b"GMT")
    told = [line for line in logs if line["event"] in ("bug", "unavailable")]
    assert len(told) == 2 * (name in ("bug", "away"))
    assert {line["route"] for line in told} <= {"/notes"}


@pytest.mark.parametrize("kind", [PLAIN, UNUSUAL])
@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"", 400), (b"[]", 422), (b'"' + b"x" * BODY_MAX_BYTES + b'"', 413)],
)
async def test_what_is_wrong_with_a_body_is_said_on_both_ways(
    kind: bytes, body: bytes, status: int
) -> None:
    async with wired(Service()) as wire:
        answer = await wire.asked(post(body, kind))
    assert json.loads(answer[2])["status"] == status


async def test_a_plain_request_really_goes_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object) -> None:
        raise AssertionError("aiohttp's way was taken")

    monkeypatch.setattr("aiohttp.web.Application._handle", fails)
    async with wired(Service()) as wire:
        assert b" 200 " in (await wire.asked(note("good")))[0]
        assert b" 500 " in (await wire.asked(note("good", UNUSUAL)))[0]


async def test_requests_of_a_connection_are_answered_in_their_order() -> None:
    """However they come: both at once, behind one that is answered, plain ones and others."""
    service = Service()
    async with wired(service) as wire:
        wire.writer.write(note("slow"))
        await service.entered.wait()
        wire.writer.write(note("two") + note("three", UNUSUAL) + note("four")[:-5])
        await wire.writer.drain()
        wire.writer.write(note("four")[-5:])
        service.go_on.set()
        assert [await wire.name() for _ in range(4)] == ["slow", "two", "three", "four"]
        wire.writer.write(note("five") + note("six") + note("seven", UNUSUAL))
        assert [await wire.name() for _ in range(3)] == ["five", "six", "seven"]


async def test_a_body_that_comes_late_is_waited_for() -> None:
    async with wired(Service()) as wire:
        wire.writer.write(note("late")[:-6])
        await wire.writer.drain()
        wire.writer.write(note("late")[-6:])
        assert await wire.name() == "late"


async def test_a_client_that_wants_to_be_alone_is_let_go() -> None:
    async with wired(Service()) as wire:
        _, headers, _ = await wire.asked(note("last", more=b"Connection: close\r\n"))
        assert headers[b"connection"] == b"close"
        assert await wire.ended()


async def test_what_is_answered_while_the_process_stops_is_the_last_of_its_connection() -> None:
    service = Service()
    context = listening(service.application(), SETTINGS, 0)
    async with dialled(await context.__aenter__()) as wire:
        wire.writer.write(note("slow"))
        await service.entered.wait()
        stopping = asyncio.create_task(context.__aexit__(None, None, None))
        await asyncio.sleep(0)
        service.go_on.set()
        _, headers, _ = await wire.answer()
        assert headers[b"connection"] == b"close"
        assert await wire.ended()
        await stopping


async def test_a_client_that_has_gone_has_been_heard() -> None:
    service = Service()
    async with listening(service.application(), SETTINGS, 0) as port:
        async with dialled(port) as wire:
            wire.writer.write(note("slow"))
            await service.entered.wait()
        service.go_on.set()
        await asyncio.wait_for(service.noted.wait(), TIMEOUT_S)


async def test_an_idle_connection_ends_and_one_that_is_answered_does_not() -> None:
    service = Service()
    async with wired(service, Bounds(idle_s=0.2)) as wire:
        assert b" 200 " in (await wire.asked(note("good")))[0]
        wire.writer.write(note("slow"))
        await service.entered.wait()
        await asyncio.sleep(0.5)  # longer than it may be idle
        service.go_on.set()
        assert await wire.name() == "slow"
        assert await wire.ended()


async def test_both_ways_are_counted() -> None:
    def counted() -> float:
        labels = {"method": "POST", "route": "/notes", "status": "200"}
        return metrics.REGISTRY.get_sample_value("voketag_http_requests_total", labels) or 0.0

    before = counted()
    async with wired(Service()) as wire:
        await wire.asked(note("good"))
        await wire.asked(note("good", UNUSUAL))
    assert counted() == before + 2
