"""The ceiling of what Redis appends to a stream with every write on disk before it is answered."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import hiredis

PIPELINE = 100
ENTRIES_MAX = 300_000  # of half a kilobyte each
_STREAM = "benchmark:append"
_KEPT = 10_000  # the stream is cut to about this, or memory would be measured as well
_TIMEOUT_S = 10.0
_READ_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Appended:
    """So many entries, of so many bytes each on the wire, took so many seconds."""

    entries: int
    entry_bytes: int
    took_s: float

    @property
    def per_s(self) -> float:
        """Entries appended and on disk, a second."""
        return self.entries / self.took_s


async def append(url: str, fields: Mapping[bytes, bytes], for_s: float) -> Appended:
    """XADD entries with these fields from one connection, a pipeline of 100 after the other, for
    `for_s` seconds; then delete them. Raises hiredis.ReplyError where Redis refuses.
    """
    return await asyncio.to_thread(_append, url, fields, for_s)


def _append(url: str, fields: Mapping[bytes, bytes], for_s: float) -> Appended:
    words = [word for pair in fields.items() for word in pair]
    command = _packed("XADD", _STREAM, "MAXLEN", "~", _KEPT, "*", *words)
    pipeline = command * PIPELINE
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port), timeout=_TIMEOUT_S) as connection:
        reader = hiredis.Reader()
        _exchange(connection, reader, _packed("AUTH", where.password or ""), 1)
        entries, begun_s = 0, time.perf_counter()
        while (took_s := time.perf_counter() - begun_s) < for_s and entries < ENTRIES_MAX:
            _exchange(connection, reader, pipeline, PIPELINE)
            entries += PIPELINE
        _exchange(connection, reader, _packed("DEL", _STREAM), 1)
    return Appended(entries, len(command), took_s)


def _packed(*words: str | bytes | int) -> bytes:
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # it takes any number
    return packed


def _exchange(
    connection: socket.socket, reader: hiredis.Reader, request: bytes, replies: int
) -> None:
    """Send, and read so many replies."""
    connection.sendall(request)
    while replies:
        reply = reader.gets()
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        if reply is False:
            reader.feed(connection.recv(_READ_BYTES))
        else:
            replies -= 1
