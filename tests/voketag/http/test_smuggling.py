"""Requests that a proxy in front of us could read in another way (RFC 9112, section 11.2): each is
refused and ends its connection, or is read in the one way there is. By both parsers of aiohttp: the
one in C, and the one in Python that stands in where a machine has no other.
"""

from __future__ import annotations

import asyncio
import re

import pytest
from aiohttp import http_parser, web_protocol

from tests.servers import eventually
from tests.things_service import SETTINGS, Service
from voketag.http.server import listening

HOST = b"Host: here\r\n"
POST = b"POST /things HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
BODY = b'{"name":"a"}'
CHUNKED = b"c\r\n" + BODY + b"\r\n0\r\n\r\n"
TE = POST + b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET /things HTTP/1.1\r\n"
# What would be answered 401, were the bytes behind a request taken for a second one.
HIDDEN = b"DELETE /keys/1 HTTP/1.1\r\n" + HOST + b"\r\n"
STATUS = re.compile(rb"HTTP/\d\.\d (\d{3}) ")
WAIT_S = 5.0

REFUSED = {
    "both lengths": POST + b"Content-Length: 12\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "both lengths turned": POST
    + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"
    + CHUNKED,
    "two lengths": POST + b"Content-Length: 12\r\nContent-Length: 3\r\n\r\n" + BODY,
    "a length twice": POST + b"Content-Length: 12\r\nContent-Length: 12\r\n\r\n" + BODY,
    "a list of lengths": POST + b"Content-Length: 12, 12\r\n\r\n" + BODY,
    "a length with a sign": POST + b"Content-Length: +12\r\n\r\n" + BODY,
    "a length with a gap": POST + b"Content-Length: 1_2\r\n\r\n" + BODY,
    "a hexadecimal length": POST + b"Content-Length: 0xc\r\n\r\n" + BODY,
    "an empty length": POST + b"Content-Length:\r\n\r\n" + BODY,
    "a space before the colon": POST + b"Content-Length : 12\r\n\r\n" + BODY,
    "chunked twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + CHUNKED,
    "two codings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n" + CHUNKED,
    "no coding at all": POST + b"Transfer-Encoding: identity\r\n\r\n" + CHUNKED,
    "chunked and then another": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n" + CHUNKED,
    "nearly chunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKED,
    "a vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + CHUNKED,
    "a tab before the colon": POST + b"Transfer-Encoding\t: chunked\r\n\r\n" + CHUNKED,
    "chunks in HTTP/1.0": TE.replace(b"HTTP/1.1", b"HTTP/1.0") + CHUNKED,
    "a folded line": POST + b"X-A: one\r\n two\r\nContent-Length: 12\r\n\r\n" + BODY,
    "a folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + CHUNKED,
    "a first line that is folded": POST.replace(b"\r\n", b"\r\n X: y\r\n", 1) + b"\r\n",
    "line feeds alone": (POST + b"Content-Length: 12\r\n\r\n").replace(b"\r\n", b"\n") + BODY,
    "one line feed alone": POST + b"X-A: b\nContent-Length: 12\r\n\r\n" + BODY,
    "a carriage return alone": POST + b"X-A: b\rContent-Length: 12\r\n\r\n" + BODY,
    "a line feed ends the head": POST + b"Content-Length: 12\r\n\n" + BODY,
    "a NUL": POST + b"X-A: a\x00b\r\nContent-Length: 12\r\n\r\n" + BODY,
    "a field without a name": POST + b": x\r\nContent-Length: 12\r\n\r\n" + BODY,
    "a line feed in a chunk extension": TE + b"c;a\nb\r\n" + BODY + b"\r\n0\r\n\r\n",
    "chunks with line feeds alone": TE + CHUNKED.replace(b"\r\n", b"\n"),
    "a chunk that is longer": TE + b"c\r\n" + BODY + b"XX0\r\n\r\n",
    "a chunk size with 0x": TE + b"0xc\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk size and a space": TE + b"c \r\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk size with a sign": TE + b"-c\r\n" + BODY + b"\r\n0\r\n\r\n",
    "HTTP/0.9": b"GET /things\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no host": GET + b"\r\n",
    "two hosts": GET + b"Host: a\r\nHost: b\r\n\r\n",
    "a host with a space": GET + b"Host: a b\r\n\r\n",
    "a host with a path": GET + b"Host: here/things\r\n\r\n",
    "a host with a user": GET + b"Host: me@here\r\n\r\n",
    "a broken absolute form": b"GET http://[/things HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method of other letters": b"GE@T /things HTTP/1.1\r\n" + HOST + b"\r\n",
    "too many fields": GET + HOST + b"".join(b"X-%d: a\r\n" % n for n in range(200)) + b"\r\n",
}
# What is answered, and then the request behind it as one of its own.
READ = {
    "chunks": (TE + CHUNKED, 201),
    "a chunk extension": (TE + b"c;a=b\r\n" + BODY + b"\r\n0\r\n\r\n", 201),
    "absolute form": (b"GET http://here/things HTTP/1.1\r\n" + HOST + b"\r\n", 200),
    "absolute form of another host": (b"GET http://x/things HTTP/1.1\r\n" + HOST + b"\r\n", 200),
    "an empty host": (GET + b"Host:\r\n\r\n", 200),
    "an address and a port": (GET + b"Host: [::1]:8080\r\n\r\n", 200),
    "a GET with a body": (GET + HOST + b"Content-Length: 12\r\n\r\n" + BODY, 200),
    "empty lines before it": (b"\r\n\r\n" + GET + HOST + b"\r\n", 200),
    "an error": (b"GET /nothing HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "a body that nobody reads": (POST.replace(b"json", b"xml") + b"Content-Length: 12\r\n\r\n"
                                 + BODY, 415),
    "two credentials": (b"DELETE /keys/1 HTTP/1.1\r\n" + HOST + b"Authorization: Bearer a\r\n"
                        b"Authorization: Bearer b\r\n\r\n", 401),
}  # fmt: skip


@pytest.fixture(params=["c", "python"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "python":
        monkeypatch.setattr(web_protocol, "HttpRequestParser", http_parser.HttpRequestParserPy)


@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED.keys())
async def test_what_can_be_read_in_two_ways_is_refused(sent: bytes) -> None:
    async with listening(Service().application(), SETTINGS, 0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent + HIDDEN)
        answer = await asyncio.wait_for(reader.read(), WAIT_S)  # until it is closed
        writer.close()
        await writer.wait_closed()
    assert STATUS.findall(answer) == [b"400"]
    assert b'"code":"malformed_request"' in answer


@pytest.mark.parametrize(("sent", "status"), READ.values(), ids=READ.keys())
async def test_what_can_be_read_in_one_way_is_read_in_it(sent: bytes, status: int) -> None:
    async with listening(Service().application(), SETTINGS, 0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent + HIDDEN)
        answer = bytearray()

        async def answered() -> bool:
            answer.extend(await asyncio.wait_for(reader.read(65_536), WAIT_S))
            return len(STATUS.findall(answer)) == 2

        await eventually(answered)
        writer.close()
        await writer.wait_closed()
    assert STATUS.findall(answer) == [str(status).encode(), b"401"]


async def test_a_server_that_promises_another_protocol_is_not_what_we_are() -> None:
    """Whatever stands behind an Upgrade, a proxy is never told that the protocol has changed."""
    async with listening(Service().application(), SETTINGS, 0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
        line = await asyncio.wait_for(reader.readline(), WAIT_S)
        writer.close()
        await writer.wait_closed()
    assert line == b"HTTP/1.1 200 OK\r\n"
