"""Dead letters: entries that were given up, in `<stream>:dead`, as `streams.bury` leaves them.

Putting one back and throwing one away are one script each: an entry is in one place or the other,
never in both and never in none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from voketag.events import DEAD_SUFFIX
from voketag.redis.cluster import Cluster
from voketag.redis.connection import redis_errors

ENTRY_ID_PATTERN = "[0-9]{1,20}-[0-9]{1,20}"
_ENTRY_ID = re.compile(ENTRY_ID_PATTERN)
_MARK = "dead_"

# Publishes the original fields again and takes the dead entry away; gives the new entry's id, or
# nothing where somebody else was faster.
_REDRIVE = """
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if #found == 0 then return false end
local fields, kept = found[1][2], {}
for at = 1, #fields, 2 do
  if string.sub(fields[at], 1, 5) ~= 'dead_' then
    kept[#kept + 1] = fields[at]
    kept[#kept + 1] = fields[at + 1]
  end
end
local added = redis.call('XADD', KEYS[2], '*', unpack(kept))
redis.call('XDEL', KEYS[1], ARGV[1])
return added
"""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One entry that was given up.

    `stream` is the one it was in, `entry_id` its id among the dead letters; `fields` are those it
    had, byte for byte. `buried_at_ms` is in milliseconds since the Unix epoch.
    """

    stream: str
    entry_id: str
    fields: Mapping[str, bytes]
    original_id: str
    group: str
    error: str
    attempts: str

    @property
    def buried_at_ms(self) -> int:
        """When it was given up, by the clock of Redis."""
        return int(self.entry_id.partition("-")[0])


@dataclass(frozen=True, slots=True)
class Head:
    """How many dead letters a stream has, and the oldest of them."""

    count: int
    oldest: DeadLetter | None


def is_entry_id(text: str) -> bool:
    """Whether this is the id of a stream entry: two numbers of 64 bits."""
    if _ENTRY_ID.fullmatch(text) is None:
        return False
    return all(int(number) < 1 << 64 for number in text.split("-"))


def dead_stream(redis: Redis, stream: str) -> str:
    """Where the dead letters of a stream are: on a cluster in the slot of the stream."""
    if isinstance(redis, Cluster) and "{" not in stream:
        stream = f"{{{stream}}}"
    return stream + DEAD_SUFFIX


async def counts(redis: Redis, streams: Sequence[str]) -> dict[str, int]:
    """How many dead letters each stream has."""
    async with redis_errors(), redis.pipeline(transaction=False) as pipeline:
        for stream in streams:
            pipeline.xlen(dead_stream(redis, stream))
        lengths = await pipeline.execute()
    return dict(zip(streams, lengths, strict=True))


async def heads(redis: Redis, streams: Sequence[str]) -> dict[str, Head]:
    """How many dead letters each stream has, and its oldest."""
    async with redis_errors(), redis.pipeline(transaction=False) as pipeline:
        for stream in streams:
            pipeline.xlen(dead_stream(redis, stream))
            pipeline.xrange(dead_stream(redis, stream), count=1)
        replies = await pipeline.execute()
    return {
        stream: Head(count, _letter(stream, *first[0]) if first else None)
        for stream, count, first in zip(streams, replies[::2], replies[1::2], strict=True)
    }


async def oldest(redis: Redis, stream: str, count: int, after: str = "") -> list[DeadLetter]:
    """Up to `count` dead letters of a stream, the oldest first, from the one after id `after`."""
    low = f"({after}" if after else "-"
    async with redis_errors():
        entries: Any = await redis.xrange(dead_stream(redis, stream), min=low, count=count)
    return [_letter(stream, *entry) for entry in entries]


async def find(redis: Redis, stream: str, entry_id: str) -> DeadLetter | None:
    """The dead letter with this id, None where there is none, or the id is none."""
    if not is_entry_id(entry_id):
        return None
    async with redis_errors():
        entries: Any = await redis.xrange(dead_stream(redis, stream), min=entry_id, max=entry_id)
    return _letter(stream, *entries[0]) if entries else None


async def redrive(redis: Redis, stream: str, entry_id: str) -> str | None:
    """Put a dead letter back at the end of its stream; gives the new entry's id.

    None where it is not there any more. The event's own id stays, so that whoever handles it
    recognises what was done before. After Unavailable it may have happened or not.
    """
    async with redis_errors():
        added: Any = await redis.eval(_REDRIVE, 2, dead_stream(redis, stream), stream, entry_id)
    return added.decode() if added else None


async def drop(redis: Redis, stream: str, entry_id: str) -> bool:
    """Delete a dead letter; gives whether it was there."""
    async with redis_errors():
        return bool(await redis.xdel(dead_stream(redis, stream), entry_id))


def _letter(stream: str, entry_id: bytes, raw: Mapping[bytes, bytes]) -> DeadLetter:
    fields = {name.decode(): value for name, value in raw.items()}

    def note(name: str) -> str:
        return fields.get(_MARK + name, b"").decode(errors="replace")

    return DeadLetter(
        stream=stream,
        entry_id=entry_id.decode(),
        fields={name: value for name, value in fields.items() if not name.startswith(_MARK)},
        original_id=note("id"),
        group=note("group"),
        error=note("error"),
        attempts=note("attempts"),
    )
