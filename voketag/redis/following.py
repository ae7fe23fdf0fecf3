"""Reading streams without taking part in their consumption: for people who watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from voketag.redis.cluster import Cluster
from voketag.redis.connection import COMMAND_TIMEOUT_S, connect, redis_errors

BLOCK_MS = 1000
COUNT = 500
BEGINNING = "0-0"


@dataclass(frozen=True, slots=True)
class Seen:
    """One entry as it passes by."""

    stream: str
    entry_id: str
    fields: Mapping[str, bytes]


async def follow(url: str, streams: Sequence[str], *, from_start: bool) -> AsyncGenerator[Seen]:
    """Every entry of these streams, as it comes, for ever; with `from_start` those there first.

    Entries of one stream come in their order. Raises Unavailable where Redis is the cause.
    """
    # Reading blocks, so the connection is patient for longer than the block.
    redis = connect(url, timeout_s=BLOCK_MS / 1000 + COMMAND_TIMEOUT_S)
    # One command waits for all streams of one Redis, and for one stream of a cluster.
    together = [[stream] for stream in streams] if isinstance(redis, Cluster) else [streams]
    reading: dict[asyncio.Task[list[Seen]], dict[str, str]] = {}
    try:
        async with redis_errors():
            for some in together:
                positions = {
                    stream: BEGINNING if from_start else await _end(redis, stream)
                    for stream in some
                }
                reading[asyncio.create_task(_read(redis, positions))] = positions
            while True:
                done, _ = await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    positions = reading.pop(task)
                    for seen in task.result():
                        positions[seen.stream] = seen.entry_id
                        yield seen
                    reading[asyncio.create_task(_read(redis, positions))] = positions
    finally:
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        await redis.aclose()


async def _read(redis: Redis, positions: Mapping[str, str]) -> list[Seen]:
    """What comes next after these positions, waiting up to BLOCK_MS for it."""
    reply: Any = await redis.xread(dict(positions), count=COUNT, block=BLOCK_MS)  # type: ignore[arg-type]  # str is a key
    return [
        Seen(name.decode(), entry_id.decode(), {key.decode(): raw[key] for key in raw})
        for name, entries in reply or ()
        for entry_id, raw in entries
    ]


async def _end(redis: Any, stream: str) -> str:
    """The id of a stream's last entry: unlike "$", it does not move between two reads."""
    last: Any = await redis.xrevrange(stream, count=1)
    return last[0][0].decode() if last else BEGINNING
