"""Reading streams without taking part in their consumption: for people who watch."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
    try:
        async with redis_errors():
            positions = {
                stream: BEGINNING if from_start else await _end(redis, stream) for stream in streams
            }
            while True:
                reply: Any = await redis.xread(positions, count=COUNT, block=BLOCK_MS)  # type: ignore[arg-type]  # str is a key
                for name, entries in reply or ():
                    stream = name.decode()
                    for entry_id, raw in entries:
                        positions[stream] = entry_id.decode()
                        fields = {key.decode(): value for key, value in raw.items()}
                        yield Seen(stream, positions[stream], fields)
    finally:
        await redis.aclose()


async def _end(redis: Any, stream: str) -> str:
    """The id of a stream's last entry: unlike "$", it does not move between two reads."""
    last: Any = await redis.xrevrange(stream, count=1)
    return last[0][0].decode() if last else BEGINNING
