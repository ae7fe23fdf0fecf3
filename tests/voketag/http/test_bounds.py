"""Clients that take their time, or are too many, over plain sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import web

from tests.servers import eventually
from tests.things_service import SETTINGS, Service
from voketag.http import bounds, requests
from voketag.http.bounds import Bounds
from voketag.http.routes import Route
from voketag.http.server import application, listening

HOST = b"Host: here\r\n"
GET = b"GET /things HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /things HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
# Each bound alone is short: what is not under test never ends a connection.
PATIENT = Bounds(look_every_s=0.01)
PIECE = bytes(16 * 1024)
SECONDS = 10.0


@contextlib.asynccontextmanager
async def client(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def service(within: Bounds) -> AsyncIterator[int]:
    async with listening(Service().application(), SETTINGS, 0, within) as port:
        yield port


async def told(reader: asyncio.StreamReader) -> tuple[int, str]:
    """Status and code of the last thing that is said on a connection."""
    head, _, body = (await asyncio.wait_for(reader.read(), SECONDS)).rpartition(b"\r\n\r\n")
    last = head[head.rindex(b"HTTP/1.1 ") :]
    assert b"\r\nConnection: close" in last
    assert b"\r\nContent-Type: application/problem+json" in last
    return int(last.split()[1]), json.loads(body)["code"]


# ---------------------------------------------------------------------- heads


@pytest.mark.parametrize("sent", [b"", b"GET /thi", GET[:-2]])
async def test_a_head_that_does_not_come_ends_the_connection(sent: bytes) -> None:
    async with service(replace(PATIENT, head_s=0.1)) as port, client(port) as (reader, writer):
        writer.write(sent)
        assert await told(reader) == (408, "head_too_slow")


async def test_a_head_that_trickles_ends_the_connection() -> None:
    """Each byte is progress, and none of them buys time."""
    async with service(replace(PATIENT, head_s=0.1)) as port, client(port) as (reader, writer):

        async def trickle() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    writer.write(b"X-A: b\r\n")
                    await writer.drain()
                    await asyncio.sleep(0.01)

        writer.write(GET[:-2])
        trickling = asyncio.create_task(trickle())
        with contextlib.suppress(ConnectionResetError):
            # What it goes on sending can make the system discard the answer.
            assert await told(reader) == (408, "head_too_slow")
        trickling.cancel()


async def test_a_second_head_has_as_long_as_the_first() -> None:
    async with service(replace(PATIENT, head_s=0.1)) as port, client(port) as (reader, writer):
        writer.write(GET)
        assert b" 200 " in await reader.readline()
        writer.write(b"GET /slow")
        assert await told(reader) == (408, "head_too_slow")


async def test_a_request_that_is_answered_slowly_is_no_slow_head() -> None:
    slow = Service()
    within = replace(PATIENT, head_s=0.05)
    async with (
        listening(slow.application(), SETTINGS, 0, within) as port,
        client(port) as (reader, writer),
    ):
        writer.write(b"GET /slow HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")
        await slow.entered.wait()
        await asyncio.sleep(0.2)  # several times the bound
        slow.go_on.set()
        assert b" 200 " in await asyncio.wait_for(reader.read(), SECONDS)


async def test_a_head_is_bounded_as_a_whole() -> None:
    async with service(replace(PATIENT, head_bytes=4096)) as port, client(port) as (reader, writer):
        writer.write(GET[:-2])
        for number in range(5):
            writer.write(b"X-%d: %s\r\n" % (number, b"a" * 1000))
            await writer.drain()
        assert await told(reader) == (431, "head_too_large")


async def test_a_client_that_rests_is_let_go_after_a_while() -> None:
    async with service(replace(PATIENT, idle_s=0.1)) as port, client(port) as (reader, writer):
        writer.write(GET)
        answer = await asyncio.wait_for(reader.read(), SECONDS)
        assert answer.startswith(b"HTTP/1.1 200 ")


# ---------------------------------------------------------------------- bodies


@pytest.mark.parametrize(
    "sent", [b"Content-Length: 30\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"]
)
async def test_a_body_that_does_not_come_ends_the_connection(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "BODY_WITHIN_S", 0.1)
    async with service(PATIENT) as port, client(port) as (reader, writer):
        writer.write(POST + sent)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SECONDS)
        assert b" 408 " in head
        assert b"\r\nConnection: close" in head
        writer.write_eof()
        assert json.loads(await reader.read())["code"] == "body_too_slow"


async def test_a_body_that_keeps_coming_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has come buys the time for what is to come."""
    monkeypatch.setattr(requests, "BODY_WITHIN_S", 0.1)
    monkeypatch.setattr(requests, "BODY_LEAST_BYTES_A_SECOND", 1000)
    body = b'{"name": "a"}'.ljust(4000)
    async with service(PATIENT) as port, client(port) as (reader, writer):
        writer.write(POST + b"Content-Length: 4000\r\n\r\n")
        for start in range(0, 4000, 1000):
            writer.write(body[start : start + 1000])
            await writer.drain()
            await asyncio.sleep(0.08)
        assert b" 201 " in await asyncio.wait_for(reader.readline(), SECONDS)


# ---------------------------------------------------------------------- answers that are not read


class Endless:
    """Answers that are longer than the system keeps for a client that does not read."""

    def __init__(self) -> None:
        self.connection: bounds.BoundedConnection | None = None

    def gone(self) -> bool:
        return self.connection is not None and self.connection._wire is None

    async def export(self, request: web.Request) -> web.StreamResponse:
        response = await self._begin(request)
        while True:
            await response.write(PIECE)

    async def last_words(self, request: web.Request) -> web.StreamResponse:
        """As much as leaves a little that the system does not take, less than makes us wait."""
        response = await self._begin(request)
        assert request.transport is not None
        while not request.transport.get_write_buffer_size():
            await response.write(PIECE)
        return response

    async def _begin(self, request: web.Request) -> web.StreamResponse:
        assert isinstance(request.protocol, bounds.BoundedConnection)
        self.connection = request.protocol
        response = web.StreamResponse()
        response.force_close()
        await response.prepare(request)
        return response

    async def ready(self) -> None:
        """Nothing is needed."""

    def application(self) -> web.Application:
        kind = {200: "application/x-ndjson"}
        return application(
            "Endless",
            [
                Route("GET", "/export", self.export, "For ever", kind),
                Route("GET", "/last", self.last_words, "A little", kind),
            ],
            self.ready,
        )


@pytest.mark.parametrize(
    ("path", "within"),
    [
        (b"/export", replace(PATIENT, unread_s=0.1)),
        (b"/last", replace(PATIENT, closing_s=0.1)),
    ],
)
async def test_a_client_that_does_not_read_is_let_go(path: bytes, within: Bounds) -> None:
    endless = Endless()
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        async with listening(endless.application(), SETTINGS, 0, within) as port:
            loop = asyncio.get_running_loop()
            await loop.sock_connect(deaf, ("127.0.0.1", port))
            await loop.sock_sendall(deaf, b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n")
            await eventually(endless.gone)


# ---------------------------------------------------------------------- too many


async def test_one_client_too_many_is_told_so_and_the_others_are_served() -> None:
    async with service(replace(PATIENT, connections=2)) as port:
        async with client(port) as (one, write_one), client(port) as (other, write_other):
            for reader, writer in ((one, write_one), (other, write_other)):
                writer.write(GET)
                assert b" 200 " in await reader.readline()
            async with client(port) as (late, _):
                assert await told(late) == (503, "too_many_connections")
            write_one.write(GET)
            assert b"HTTP/1.1 200 " in await one.readuntil(b"HTTP/1.1 200 ")
        async with client(port) as (reader, writer):
            writer.write(GET)
            assert b" 200 " in await asyncio.wait_for(reader.readline(), SECONDS)


def test_room_is_what_the_system_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(1024, 2048)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.append(pair))
    assert bounds.room_for(4096) == 2048 - bounds.OWN_DESCRIPTORS
    assert limits == [(1024, 2048), (2048, 2048)]
    assert bounds.room_for(500) == 500
    assert len(limits) == 2
    limits.append((1024, resource.RLIM_INFINITY))
    assert bounds.room_for(4096) == 4096
    assert limits[-1][0] == 4096 + bounds.OWN_DESCRIPTORS
