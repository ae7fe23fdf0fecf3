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

from voketag.errors import SettingsError, Unavailable

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

# What makes an acknowledged write survive a crash of the server, and never be evicted.
DURABLE = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}

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


async def refuse_forgetful(redis: Redis) -> None:
    """Raises SettingsError for a Redis that can lose a write it has acknowledged, saying what to
    change there. Raises Unavailable where it does not answer.
    """
    async with redis_errors():
        try:
            found: dict[str | None, str | None] = {}
            for name in DURABLE:
                found |= await redis.config_get(name)
        except ResponseError as error:
            raise SettingsError(
                [
                    f"VOKETAG_REDIS_URL: this Redis does not tell whether it keeps what it "
                    f"acknowledges ({error}). See to it that it does, then set "
                    "VOKETAG_REDIS_MAY_LOSE=yes."
                ]
            ) from error
    kept = {name: found.get(name) for name in DURABLE}
    wrong = [
        f"{name} is {kept[name]!r}" for name, wanted in DURABLE.items() if kept[name] != wanted
    ]
    if wrong:
        mend = "; ".join(
            f"CONFIG SET {name} {wanted}"
            for name, wanted in DURABLE.items()
            if kept[name] != wanted
        )
        raise SettingsError(
            [
                "VOKETAG_REDIS_URL: this Redis can lose a write it has acknowledged: "
                f"{', '.join(wrong)}. Mend it ({mend}, and in its configuration file), or accept "
                "the loss of answered scans with VOKETAG_REDIS_MAY_LOSE=yes."
            ]
        )
