"""Connecting to Redis, and which of its errors mean "wait for the server"."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,
    OutOfMemoryError,
    ReadOnlyError,
    TimeoutError,
)

from voketag.errors import Unavailable

COMMAND_TIMEOUT_S = 5.0
WAIT_FOR = (ConnectionError, TimeoutError, BusyLoadingError, OutOfMemoryError, ReadOnlyError)

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
    except WAIT_FOR as error:
        raise Unavailable(f"redis: {error}") from error
    except OSError as error:
        raise Unavailable(f"redis: {error}") from error
