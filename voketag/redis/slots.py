"""Redis Cluster as a text says it: which hash slot a key lies in, and which server serves it.

Pure: what asks servers, with and without an event loop, shares this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from redis.crc import key_slot

SLOTS = 16_384
SCHEMES = {"redis+cluster": "redis", "rediss+cluster": "rediss"}
_SCRIPTS = ("EVAL", "EVALSHA")
_READS = ("XREAD", "XREADGROUP")
_KEYLESS = ("PING", "TIME", "INFO", "CONFIG GET", "SCRIPT LOAD", "SCAN")

Key = str | bytes


def is_cluster(url: str) -> bool:
    """Whether a URL means a Redis Cluster."""
    return urlsplit(url).scheme in SCHEMES


def server_urls(url: str) -> list[str]:
    """The URL of each server that a cluster's URL names: one or several, separated by commas."""
    parts = urlsplit(url)
    who, at, places = parts.netloc.rpartition("@")
    return [
        urlunsplit(parts._replace(scheme=SCHEMES[parts.scheme], netloc=who + at + place))
        for place in places.split(",")
    ]


def url_at(url: str, host: str, port: int) -> str:
    """The URL of another server of the same cluster: with the same user, password and options. A
    server that does not know its own address gives none: it is the one that was asked.
    """
    parts = urlsplit(url)
    who, at, _ = parts.netloc.rpartition("@")
    host = host if host not in ("", "?") else (parts.hostname or "")
    place = f"[{host}]" if ":" in host else host
    return urlunsplit(parts._replace(netloc=f"{who}{at}{place}:{port}"))


def place_of(url: str) -> str:
    """The host and port of a server, without its password."""
    return urlsplit(url).netloc.rpartition("@")[2]


def slot_of(key: Key) -> int:
    """The slot of a key: of what stands in its first braces, if anything does."""
    return int(key_slot(key.encode() if isinstance(key, str) else key))


def key_of(command: Sequence[Any]) -> Key | None:
    """The key of a command as redis-py words it; None where it has none. Further keys of a command
    lie in the same slot, or its server refuses it.
    """
    name = command[0]
    if name in _KEYLESS:
        return None
    if name in _SCRIPTS:
        return command[3] if int(command[2]) else None
    if name in _READS:
        return command[command.index(b"STREAMS") + 1]  # type: ignore[no-any-return]
    return command[1]  # type: ignore[no-any-return]


def serving(reply: Any, asked: str) -> list[str | None]:
    """The URL of the primary that serves each slot, from the reply of CLUSTER SLOTS by the server
    with the URL `asked`; None where none does.
    """
    table: list[str | None] = [None] * SLOTS
    for first, last, primary, *_ in reply:
        host = (primary[0] or b"").decode()
        table[first : last + 1] = [url_at(asked, host, primary[1])] * (last + 1 - first)
    return table
