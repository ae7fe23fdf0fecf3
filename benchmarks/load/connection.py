"""One keep-alive connection: sends a request, and reads as much of the answer as is needed."""

from __future__ import annotations

import asyncio
from time import perf_counter_ns
from typing import Protocol

_END_OF_HEAD = b"\r\n\r\n"
# As Go and aiohttp write it, and as uvicorn does: looked for before anything is put in lower case.
_LENGTHS = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
_STATUS = slice(9, 12)


class Answers(Protocol):
    """Who is told how the requests of a connection went."""

    def answered(self, connection: Connection, status: bytes, now_ns: int) -> None:
        """The answer is here, the whole of it; the connection is free again."""

    def lost(self, connection: Connection, in_flight: bool) -> None:
        """The connection has ended, and with it its request, if it had one."""


class Connection(asyncio.Protocol):
    """`due_ns` is the moment (perf_counter_ns) from which its request's latency counts."""

    __slots__ = ("_answers", "_held", "_transport", "due_ns", "in_flight")

    def __init__(self, answers: Answers) -> None:
        self.due_ns = 0
        self.in_flight = False
        self._answers = answers
        self._held = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = transport  # type: ignore[assignment]  # of a stream, it is one

    def send(self, request: bytes, due_ns: int) -> None:
        """Send the next request; the one before it must have been answered."""
        self.due_ns = due_ns
        self.in_flight = True
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Wait for the whole answer, then tell of it."""
        if self._held:
            data = self._held + data
        end = data.find(_END_OF_HEAD)
        if end < 0:
            self._held = data
            return
        length = _content_length(data, end)
        if length is None or not self.in_flight:
            self.close()  # not an answer that we can read; it counts as broken
            return
        if len(data) < end + 4 + length:
            self._held = data
            return
        now_ns = perf_counter_ns()
        self._held = b""
        self.in_flight = False
        self._answers.answered(self, data[_STATUS], now_ns)

    def connection_lost(self, _error: Exception | None) -> None:
        """The other side, or we, have ended it."""
        in_flight, self.in_flight = self.in_flight, False
        self._answers.lost(self, in_flight)

    def close(self) -> None:
        """End the connection."""
        self._transport.abort()


def _content_length(data: bytes, end: int) -> int | None:
    for name in _LENGTHS:
        at = data.find(name, 0, end)
        if at >= 0:
            start = at + len(name)
            stop = data.find(b"\r", start, end + 1)
            return int(data[start:stop])
    return None
