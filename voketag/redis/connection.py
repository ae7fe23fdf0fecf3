"""Connecting to Redis, and which of its errors mean "wait for the server"."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Iterable
from functools import partial
from typing import Any, TypeVar

import hiredis
from redis.asyncio import Connection, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
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
from voketag.redis.cluster import Cluster
from voketag.redis.slots import is_cluster

COMMAND_TIMEOUT_S = 5.0
_WAIT_FOR = (
    OSError,
    ConnectionError,
    TimeoutError,
    BusyLoadingError,
    OutOfMemoryError,
    ReadOnlyError,
    NoScriptError,  # it was loaded and the server has started anew since
    ClusterDownError,
    TryAgainError,
    AskError,  # and MovedError: a slot of a cluster is another server's, or will be soon
)
# Refusals that the library has no type for, and that an operator, or time, will mend: the disk is
# full, the replicas are away, a script runs long. In a pipeline other words stand before them.
# And those of a cluster, for those who read replies themselves.
_PASSES = re.compile(r"\b(?:MISCONF|NOREPLICAS|BUSY|MOVED|ASK) ")

_BY_WORD: dict[str, type[Exception]] = {
    "NOSCRIPT": NoScriptError,
    "LOADING": BusyLoadingError,
    "OOM": OutOfMemoryError,
    "READONLY": ReadOnlyError,
    "CLUSTERDOWN": ClusterDownError,
    "TRYAGAIN": TryAgainError,
}

Told = TypeVar("Told")
Command = tuple[str | bytes | int | float, ...]


def pack(words: Command) -> bytes:
    """One command as it goes over the wire."""
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # the stub means one word
    return packed


class _Packing:
    """Packs commands with hiredis: redis-py's own packing is Python, and takes a microsecond a
    word, of which each scan has a hundred.
    """

    def pack_command(self, *args: Any) -> list[bytes]:
        """One command as bytes. A name of two words goes as two, as redis-py has it."""
        name = args[0]
        if " " in name if isinstance(name, str) else b" " in name:
            args = (*name.split(), *args[1:])
        return [pack(args)]

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

    `redis+cluster://` gives the client of a cluster, which is used in the same way.
    """
    if is_cluster(url):
        return Cluster(url, partial(_connect_one, timeout_s=timeout_s))
    return _connect_one(url, timeout_s=timeout_s)


def _connect_one(url: str, *, timeout_s: float) -> Redis:
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


async def those_that_answer(asking: Iterable[Awaitable[Told]]) -> list[Told]:
    """What several servers say, asked at the same time; those that do not answer left out. Raises
    Unavailable where none answers.
    """
    told = await asyncio.gather(*asking, return_exceptions=True)
    answers: list[Told] = []
    away: list[Unavailable] = []
    for reply in told:
        if isinstance(reply, Unavailable):
            away.append(reply)
        elif isinstance(reply, BaseException):
            raise reply
        else:
            answers.append(reply)
    if away and not answers:
        raise away[0]
    return answers


def reply_error(text: str) -> Exception:
    """The library's exception for an error reply, for those who read replies themselves."""
    return _BY_WORD.get(text.partition(" ")[0], ResponseError)(text)


def means_wait(error: Exception) -> bool:
    """Whether an error of the library is about the server, and passes or is mended."""
    if isinstance(error, _WAIT_FOR):
        return True
    return isinstance(error, ResponseError) and _PASSES.search(str(error)) is not None
