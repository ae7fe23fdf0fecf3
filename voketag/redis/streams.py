"""Redis Streams: publish, own, read, acknowledge, bury. The only file that knows their commands.

Ownership. Of each stream and group one process at a time is the owner: it holds a lease
(leases.py), renewed from a thread of its own (heartbeat.py). All owners read under one fixed
consumer name, so that a new owner finds what its predecessor left pending by reading that name's
pending entries: no claiming by idle time, no lock that a killed process leaves behind, no dead
consumers piling up.
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

from voketag import metrics, topology
from voketag.errors import Fenced, Unavailable
from voketag.redis import leases
from voketag.redis.cluster import Cluster
from voketag.redis.connection import (
    COMMAND_TIMEOUT_S,
    Command,
    connect,
    redis_errors,
)
from voketag.redis.dead_letters import dead_stream
from voketag.redis.durability import refuse_forgetful
from voketag.redis.leases import owner_key
from voketag.redis.slots import slot_of

BLOCK_MS = 1000
# Redis 7 says the second to a reader that was waiting when the stream was deleted.
_GROUP_IS_GONE = ("NOGROUP", "UNBLOCKED")
ASK_AGAIN_S = 0.5
_LEFT_BEHIND = 2
log = structlog.get_logger()

# Acknowledges entries and carries out the commands that follow from them, all or nothing. Where
# none of them is pending, either the same call came through before and only its reply was lost:
# nothing is done a second time. Or the group is not the one that delivered them, which is told by
# the last id that it delivered (ids compare as text once they are equally long).
# Lua's stack takes about 8,000 values: a batch and a single command must stay below that.
_COMPLETE = """#!lua flags=allow-oom
local stream, group = KEYS[1], ARGV[1]
if redis.call('HGET', KEYS[2], 'boot_id') ~= ARGV[2] then return redis.error_reply('FENCED') end
local count = tonumber(ARGV[3])
local function padded(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return string.rep('0', 20 - #ms) .. ms .. string.rep('0', 20 - #seq) .. seq
end
local function has_delivered(id)
  if redis.call('EXISTS', stream) == 0 then return false end
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local found = {}
    for at = 1, #flat, 2 do found[flat[at]] = flat[at + 1] end
    if found.name == group then return padded(found['last-delivered-id']) >= padded(id) end
  end
  return false
end
local acknowledged = redis.call('XACK', stream, group, unpack(ARGV, 4, 3 + count))
if acknowledged == 0 then
  if has_delivered(ARGV[3 + count]) then return 0 end
  return redis.error_reply('NOGROUP what was delivered is not known here')
end
local at = 4 + count
while at <= #ARGV do
  local words = tonumber(ARGV[at])
  redis.call(unpack(ARGV, at + 1, at + words))
  at = at + 1 + words
end
return acknowledged
"""

# A full server is emptied by groups, and the first of them may still have to be made.
_ENSURE_GROUP = """#!lua flags=allow-oom
return redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One stream entry. `fields` is None where it was deleted while it was still pending."""

    stream: str
    entry_id: str
    fields: Mapping[str, bytes] | None


class Streams:
    """The streams as seen by one process, known to Redis by its `boot_id`."""

    def __init__(self, url: str, boot_id: str) -> None:
        self.url = url
        self.boot_id = boot_id
        self.redis = connect(url)
        # Reading blocks, so it has connections of its own, patient for longer than the block.
        self._reading = connect(url, timeout_s=BLOCK_MS / 1000 + COMMAND_TIMEOUT_S)
        self._take = self.redis.register_script(leases.TAKE)
        self._release = self.redis.register_script(leases.RELEASE)
        self._complete = self.redis.register_script(_COMPLETE)
        self._ensure_group = self.redis.register_script(_ENSURE_GROUP)

    async def close(self) -> None:
        """Close every connection."""
        await self.redis.aclose()
        await self._reading.aclose()

    async def ping(self) -> None:
        """Raises Unavailable unless Redis answers."""
        async with redis_errors():
            await self.redis.ping()

    async def refuse_forgetful(self, stopping: asyncio.Event, replicas: int | None) -> None:
        """Wait until Redis answers or `stopping`. Raises SettingsError where it can lose writes."""
        while not stopping.is_set():
            try:
                return await refuse_forgetful(self.redis, replicas)
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
                await self._ensure_group([stream], [group])
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise
                return False
        return True

    # ------------------------------------------------------------------ ownership

    async def own(self, stream: str, group: str, lease_ms: int) -> bool:
        """Take or renew the lease; gives whether this process owns the stream now."""
        async with redis_errors():
            owned = await self._take([owner_key(stream, group)], [self.boot_id, lease_ms])
        if owned == _LEFT_BEHIND:
            log.warning("taken over", stream=stream, group=group)
            metrics.TAKEN_OVER.labels(stream, group).inc()
        return bool(owned)

    async def disown(self, stream: str, group: str) -> None:
        """Give the lease back, if it is ours."""
        async with redis_errors():
            await self._release([owner_key(stream, group)], [self.boot_id])

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
                if await self.ensure_group(stream, group):
                    log.critical("group was gone: made again", stream=stream, group=group)
                    metrics.GROUPS_GONE.labels(stream, group).inc()
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

        Raises Fenced where another process owns the stream. Raises Unavailable where it is not
        known whether it happened, and where the group that delivered the entries is gone: calling
        again with the same entries is safe, and reading again gives those that are still to do.
        """
        if not entries:
            return
        stream = entries[0].stream
        commands = await self._elsewhere(stream, commands)
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
                if "NOGROUP" in str(error):
                    raise Unavailable(f"group {group} of {stream} is gone") from error
                raise

    async def _elsewhere(self, stream: str, commands: Sequence[Command]) -> Sequence[Command]:
        """The commands for where the stream lies. The others, which only a cluster has, are carried
        out before the entries are acknowledged, and so at least once: whoever takes a root or a
        notice can take it twice.
        """
        if not isinstance(self.redis, Cluster):
            return commands
        here = [words for words in commands if _lies_with(stream, words)]
        async with redis_errors():
            for words in commands:
                if not _lies_with(stream, words):
                    await self.redis.execute_command(*words)
        return here

    async def bury(
        self,
        group: str,
        entry: Entry,
        error: str,
        attempts: int,
        commands: Sequence[Command] = (),
    ) -> None:
        """Move one entry, byte for byte, to its dead-letter stream, with the reason; `commands` are
        carried out in the same instant.
        """
        fields = dict(entry.fields or {})
        fields |= {
            "dead_id": entry.entry_id.encode(),
            "dead_group": group.encode(),
            "dead_error": error.encode(),
            "dead_attempts": str(attempts).encode(),
        }
        buried = add(dead_stream(self.redis, entry.stream), fields)
        await self.complete(group, [entry], [buried, *commands])


def add(stream: str, fields: Mapping[str, bytes]) -> Command:
    """The command that appends an entry, for `Streams.complete`."""
    words: list[str | bytes | int | float] = ["XADD", stream, "*"]
    for name, value in fields.items():
        words += (name, value)
    return tuple(words)


def _lies_with(stream: str, command: Command) -> bool:
    """Whether a command touches nothing outside the slot of a stream."""
    return command[0] == "PUBLISH" or slot_of(str(command[1])) == slot_of(stream)


def _fields(raw: Mapping[bytes, bytes] | None) -> dict[str, bytes] | None:
    return {name.decode(): value for name, value in raw.items()} if raw else None
