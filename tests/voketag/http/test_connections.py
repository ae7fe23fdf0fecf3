"""Requests that cannot be read, over a plain socket."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.servers import eventually
from tests.things_service import SETTINGS, Service
from voketag import identifiers, metrics
from voketag.http.server import listening

HOST = b"Host: here\r\nConnection: close\r\n"
POST = b"POST /things HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"


async def said(sent: bytes) -> tuple[bytes, dict[bytes, bytes], bytes]:
    """The status line, headers and body that this is answered with."""
    async with listening(Service().application(), SETTINGS, 0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    pairs = (line.partition(b": ") for line in lines)
    return status, {name.lower(): value for name, _, value in pairs}, body


@pytest.mark.parametrize(
    "sent",
    [
        b"SOMETHING\r\n\r\n",
        b"BREW /things HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /things HTTP/9.9\r\n\r\n",
        b"GET /things HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /things HTTP/1.1\r\n" + HOST + b"X-Long: " + b"a" * 9000 + b"\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
        POST + b"Content-Length: -5\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}",
        POST + b"Content-Encoding: br\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
async def test_what_cannot_be_read_is_a_problem_with_a_request_id(sent: bytes) -> None:
    with capture_logs() as logs:
        status, headers, body = await said(sent)
    assert b" 400 " in status
    assert headers[b"content-type"] == b"application/problem+json"
    assert identifiers.is_uuid7(headers[b"x-request-id"].decode())
    details: dict[str, Any] = json.loads(body)
    assert details["status"] == 400
    assert details["code"] == "malformed_request"
    logged = [line for line in logs if line["event"] != "listening"]
    assert "127.0.0.1" not in str(logged)
    assert {line["log_level"] for line in logged} == {"debug"}


async def test_a_body_that_is_not_what_its_headers_say_is_refused() -> None:
    with capture_logs() as logs:
        sent = POST + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip."
        status, headers, body = await said(sent)
    assert b" 400 " in status
    assert json.loads(body)["code"] == "malformed_body"
    assert headers[b"connection"] == b"close"
    assert "bug" not in {line["event"] for line in logs}


async def test_whoever_waits_to_be_asked_for_a_body_is_asked() -> None:
    body = b'{"name": "a"}'
    sent = b"Content-Length: 13\r\nExpect: 100-continue\r\n\r\n" + body
    status, _, answer = await said(POST + sent)
    assert b" 100 " in status
    assert b"HTTP/1.1 201 " in answer


async def test_another_expectation_is_ignored() -> None:
    sent = b"Content-Length: 13\r\nExpect: miracles\r\n\r\n" + b'{"name": "a"}'
    status, headers, _ = await said(POST + sent)
    assert b" 201 " in status
    assert headers[b"x-request-id"]
    status, headers, _ = await said(b"GET / HTTP/1.1\r\nExpect: miracles\r\n" + HOST + b"\r\n")
    assert b" 417 " in status
    assert headers[b"x-request-id"]


async def test_a_client_that_leaves_amid_its_body_is_no_bug() -> None:
    counted = ("POST", "/things")
    before = metrics.REQUESTS.labels(*counted, "none")._value.get()
    bugs = metrics.REQUESTS.labels(*counted, 500)._value.get()
    with capture_logs() as logs:
        async with listening(Service().application(), SETTINGS, 0) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(POST + b"Content-Length: 100\r\n\r\n{")
            await writer.drain()
            await asyncio.sleep(0.05)
            writer.close()
            await writer.wait_closed()
            gone = metrics.REQUESTS.labels(*counted, "none")._value
            await eventually(lambda: gone.get() == before + 1)
    assert metrics.REQUESTS.labels(*counted, 500)._value.get() == bugs
    assert {line["log_level"] for line in logs if line["event"] != "listening"} <= {"debug"}
