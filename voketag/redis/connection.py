"""Connecting to Redis, and which of its errors mean "wait for the server"."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
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

Command = tuple[str | bytes | int | float, ...]


def connect(url: str, *, timeout_s: float = COMMAND_TIMEOUT_S) -> Redis:
    """A client that never sends a command twice by itself: an XADD whose reply was lost may have
    happened, and only its caller knows what to do then.
    """
    return Redis.from_url(
        url,
        protocol=2,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=timeout_s,
        socket_connect_timeout=COMMAND_TIMEOUT_S,
        socket_keepalive=True,
    )


@contextlib.asynccontextmanager
async def redis_errors() -> AsyncIterator[None]:
    """Turns what means "wait for the server" into Unavailable and leaves the rest alone."""
    try:
        yield
    except Exception as error:
        if means_wait(error):
            raise Unavailable(f"redis: {error}") from error
        raise


def means_wait(error: Exception) -> bool:
    """Whether an error of the library is about the server, and passes or is mended."""
    if isinstance(error, _WAIT_FOR):
        return True
    return isinstance(error, ResponseError) and _PASSES.search(str(error)) is not None
