"""Connecting to Redis, and which of its errors mean "wait for the server"."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Iterable
from typing import Any

import hiredis
from redis.asyncio import Connection, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

from voketag.errors import Unavailable

COMMAND_TIMEOUT_S = 5.0
_WAIT_FOR = (
    OSError,
    ConnectionError,
    TimeoutError,
    BusyLoadingError,
    OutOfMemoryError,
    ReadOnlyError,
    ClusterDownError,
    TryAgainError,
)
# Refusals that the library has no type for, and that an operator, or time, will mend: the disk is
# full, the replicas are away, a script runs long. In a pipeline other words stand before them.
_PASSES = re.compile(r"\b(?:MISCONF|NOREPLICAS|BUSY) ")

_BY_WORD: dict[str, type[Exception]] = {
    "NOSCRIPT": NoScriptError,
    "LOADING": BusyLoadingError,
    "OOM": OutOfMemoryError,
    "READONLY": ReadOnlyError,
    "CLUSTERDOWN": ClusterDownError,
    "TRYAGAIN": TryAgainError,
}

Command = tuple[str | bytes | int | float, ...]


class _Packing:
    """Packs commands with hiredis: redis-py's own packing is Python, and takes a microsecond a
    word, of which each scan has a hundred.
    """

    def pack_command(self, *args: Any) -> list[bytes]:
        """One command as bytes. A name of two words goes as two, as redis-py has it."""
        name = args[0]
        if " " in name if isinstance(name, str) else b" " in name:
            args = (*name.split(), *args[1:])
        return [hiredis.pack_command(args)]

    def pack_commands(self, commands: Iterable[Iterable[Any]]) -> list[bytes]:
        """Several commands as bytes."""
        return [b"".join(packed for words in commands for packed in self.pack_command(*words))]


class _Plain(_Packing, Connection):
    pass


class _Encrypted(_Packing, SSLConnection):
    pass


class _Local(_Packing, UnixDomainSocketConnection):
    pass


_PACKING: dict[type[AbstractConnection], type[AbstractConnection]] = {
    Connection: _Plain,
    SSLConnection: _Encrypted,
    UnixDomainSocketConnection: _Local,
}


def connect(url: str, *, timeout_s: float = COMMAND_TIMEOUT_S) -> Redis:
    """A client that never sends a command twice by itself: an XADD whose reply was lost may have
    happened, and only its caller knows what to do then.
    """
    redis = Redis.from_url(
        url,
        protocol=2,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=timeout_s,
        socket_connect_timeout=COMMAND_TIMEOUT_S,
        socket_keepalive=True,
    )
    pool = redis.connection_pool
    pool.connection_class = _PACKING[pool.connection_class]
    return redis


@contextlib.asynccontextmanager
async def redis_errors() -> AsyncIterator[None]:
    """Turns what means "wait for the server" into Unavailable and leaves the rest alone."""
    try:
        yield
    except Exception as error:
        if means_wait(error):
            raise Unavailable(f"redis: {error}") from error
        raise


def reply_error(text: str) -> Exception:
    """The library's exception for an error reply, for those who read replies themselves."""
    return _BY_WORD.get(text.partition(" ")[0], ResponseError)(text)


def means_wait(error: Exception) -> bool:
    """Whether an error of the library is about the server, and passes or is mended."""
    if isinstance(error, _WAIT_FOR):
        return True
    return isinstance(error, ResponseError) and _PASSES.search(str(error)) is not None
