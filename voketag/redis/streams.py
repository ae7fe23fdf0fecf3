"""Redis Streams: publish, own, read, acknowledge, bury. The only file that knows their commands.

Ownership. Of each stream and group one process at a time is the owner: it holds a lease, a key with
its boot id and a time to live, renewed each second. All owners read under one fixed consumer name,
so that a new owner finds what its predecessor left pending by reading that name's pending entries:
no claiming by idle time, no lock that a killed process leaves behind, no dead consumers piling up.
Whatever a process does to a stream it does in a script that first compares the lease with its boot
id; one that was overtaken gets Fenced and has changed nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from redis.exceptions import ResponseError

from voketag import topology
from voketag.errors import Fenced, Unavailable
from voketag.events import DEAD_SUFFIX
from voketag.redis.connection import (
    COMMAND_TIMEOUT_S,
    Command,
    connect,
    redis_errors,
    refuse_forgetful,
)

BLOCK_MS = 1000
# Redis 7 says the second to a reader that was waiting when the stream was deleted.
_GROUP_IS_GONE = ("NOGROUP", "UNBLOCKED")
ASK_AGAIN_S = 0.5
log = structlog.get_logger()
FIGURES_LEASES = 3  # for so many leases the metrics of a process that died can still be read

# Takes or renews the lease; gives 1 where the caller owns the stream now.
_LEASE = """
local owner = redis.call('GET', KEYS[1])
if owner == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if owner then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""

# Acknowledges entries and carries out the commands that follow from them, all or nothing. Where
# the entries are acknowledged already, the same call came through before and only its reply was
# lost: nothing is done a second time.
_COMPLETE = """
if redis.call('GET', KEYS[2]) ~= ARGV[2] then return redis.error_reply('FENCED') end
local count = tonumber(ARGV[3])
local acknowledged = redis.call('XACK', KEYS[1], ARGV[1], unpack(ARGV, 4, 3 + count))
if acknowledged == 0 then return 0 end
local at = 4 + count
while at <= #ARGV do
  local words = tonumber(ARGV[at])
  redis.call(unpack(ARGV, at + 1, at + words))
  at = at + 1 + words
end
return acknowledged
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One stream entry. `fields` is None where it was deleted while it was still pending."""

    stream: str
    entry_id: str
    fields: Mapping[str, bytes] | None


def owner_key(stream: str, group: str) -> str:
    """The key of the lease; it lies in the stream's own hash slot."""
    return f"owner:{group}:{stream if '{' in stream else '{' + stream + '}'}"


class Streams:
    """The streams as seen by one process, known to Redis by its `boot_id`."""

    def __init__(self, url: str, boot_id: str) -> None:
        self.boot_id = boot_id
        self.redis = connect(url)
        # Reading blocks, so it has connections of its own, patient for longer than the block.
        self._reading = connect(url, timeout_s=BLOCK_MS / 1000 + COMMAND_TIMEOUT_S)
        self._lease = self.redis.register_script(_LEASE)
        self._release = self.redis.register_script(_RELEASE)
        self._complete = self.redis.register_script(_COMPLETE)

    async def close(self) -> None:
        """Close every connection."""
        await self.redis.aclose()
        await self._reading.aclose()

    async def ping(self) -> None:
        """Raises Unavailable unless Redis answers."""
        async with redis_errors():
            await self.redis.ping()

    async def refuse_forgetful(self, stopping: asyncio.Event) -> None:
        """Wait until Redis answers or `stopping`. Raises SettingsError where it can lose writes."""
        while not stopping.is_set():
            try:
                return await refuse_forgetful(self.redis)
            except Unavailable as error:
                log.warning("waiting", error=str(error))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), ASK_AGAIN_S)

    async def publish(self, stream: str, fields: Mapping[str, bytes]) -> str:
        """Append an entry; gives its id. After Unavailable it may be there or not."""
        async with redis_errors():
            entry_id: Any = await self.redis.xadd(stream, dict(fields))  # type: ignore[arg-type]
        return str(entry_id, "ascii")

    async def ensure_group(self, stream: str, group: str) -> bool:
        """Make the group from the stream's beginning; gives whether it is new."""
        async with redis_errors():
            try:
                await self.redis.xgroup_create(stream, group, id="0", mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise
                return False
        return True

    # ------------------------------------------------------------------ ownership

    async def own(self, stream: str, group: str, lease_ms: int) -> bool:
        """Take or renew the lease; gives whether this process owns the stream now."""
        async with redis_errors():
            owned = await self._lease([owner_key(stream, group)], [self.boot_id, lease_ms])
        return bool(owned)

    async def disown(self, stream: str, group: str) -> None:
        """Give the lease back, if it is ours."""
        async with redis_errors():
            await self._release([owner_key(stream, group)], [self.boot_id])

    async def beat(
        self, group: str, lease_ms: int, now_ms: int, figures: bytes | None = None
    ) -> int:
        """Say that this process is alive; gives how many of the group's processes are.

        `figures` are the process's metrics, left for ops to serve while it lives.
        """
        key = topology.members_key(group)
        async with redis_errors(), self.redis.pipeline(transaction=False) as pipeline:
            pipeline.zadd(key, {self.boot_id: now_ms})
            pipeline.zremrangebyscore(key, 0, now_ms - lease_ms)
            if figures is not None:
                left = topology.metrics_key(group, self.boot_id)
                pipeline.set(left, figures, px=FIGURES_LEASES * lease_ms)
            pipeline.zcard(key)
            alive: int = (await pipeline.execute())[-1]
        return alive

    async def leave(self, group: str) -> None:
        """Say that this process is gone."""
        async with redis_errors():
            await self.redis.zrem(topology.members_key(group), self.boot_id)

    # ------------------------------------------------------------------ consuming

    async def read(self, stream: str, group: str, *, pending: bool, count: int) -> list[Entry]:
        """The owner's oldest pending entries, or else new ones, waiting up to BLOCK_MS for them.

        Where the group is gone (a flushed server) it is made again from the beginning.
        """
        async with redis_errors():
            try:
                reply: Any = await self._reading.xreadgroup(
                    group,
                    group,
                    {stream: "0" if pending else ">"},
                    count=count,
                    block=None if pending else BLOCK_MS,
                )
            except ResponseError as error:
                if not any(word in str(error) for word in _GROUP_IS_GONE):
                    raise
                await self.ensure_group(stream, group)
                raise Unavailable(f"group {group} of {stream} was gone: made again") from error
        return [
            Entry(stream, entry_id.decode(), _fields(fields))
            for _, entries in reply or ()
            for entry_id, fields in entries
        ]

    async def complete(
        self, group: str, entries: Sequence[Entry], commands: Sequence[Command] = ()
    ) -> None:
        """Acknowledge entries of one stream and carry out `commands` in the same instant, once.

        Raises Fenced where another process owns the stream, Unavailable where it is not known
        whether it happened: calling again with the same entries is safe.
        """
        if not entries:
            return
        stream = entries[0].stream
        arguments: list[str | bytes | int | float] = [group, self.boot_id, len(entries)]
        arguments += [entry.entry_id for entry in entries]
        for command in commands:
            arguments.append(len(command))
            arguments += command
        async with redis_errors():
            try:
                await self._complete([stream, owner_key(stream, group)], arguments)
            except ResponseError as error:
                if "FENCED" in str(error):
                    raise Fenced(f"{stream} has another owner in group {group}") from error
                raise

    async def bury(self, group: str, entry: Entry, error: str, attempts: int) -> None:
        """Move one entry, byte for byte, to its dead-letter stream, with the reason."""
        fields = dict(entry.fields or {})
        fields |= {
            "dead_id": entry.entry_id.encode(),
            "dead_group": group.encode(),
            "dead_error": error.encode(),
            "dead_attempts": str(attempts).encode(),
        }
        await self.complete(group, [entry], [add(entry.stream + DEAD_SUFFIX, fields)])


def add(stream: str, fields: Mapping[str, bytes]) -> Command:
    """The command that appends an entry, for `Streams.complete`."""
    words: list[str | bytes | int | float] = ["XADD", stream, "*"]
    for name, value in fields.items():
        words += (name, value)
    return tuple(words)


def _fields(raw: Mapping[bytes, bytes] | None) -> dict[str, bytes] | None:
    return {name.decode(): value for name, value in raw.items()} if raw else None
