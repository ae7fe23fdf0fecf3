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
    ResponseError,
    TimeoutError,
)

from voketag.errors import SettingsError, Unavailable

COMMAND_TIMEOUT_S = 5.0
WAIT_FOR = (ConnectionError, TimeoutError, BusyLoadingError, OutOfMemoryError, ReadOnlyError)

# Refusals of a server that an operator, or time, will mend: its disk is full, its replicas are
# away, its cluster is being put together.
_PASSES = ("MISCONF", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN")

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
    except WAIT_FOR as error:
        raise Unavailable(f"redis: {error}") from error
    except OSError as error:
        raise Unavailable(f"redis: {error}") from error
    except ResponseError as error:
        if str(error).startswith(_PASSES):
            raise Unavailable(f"redis: {error}") from error
        raise


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
