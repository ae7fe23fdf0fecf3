"""How the streams stand: lengths, groups, ages, rates and samples, read without changing anything.

Every figure that Redis does not know is None here, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from voketag.redis.connection import redis_errors
from voketag.redis.dead_letters import dead_stream
from voketag.topology import members_key, metrics_key

# One stream as it is at one instant: its length, Redis' clock in ms, and for each group its name,
# what is pending, its lag, and the oldest entry it has not finished: the smallest pending one, or
# else the first after the last delivered. Groups in ARGV that do not exist have finished nothing.
_STATUS = """
local stream, clock = KEYS[1], redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function first_after(id)
  local found = redis.call('XRANGE', stream, id, '+', 'COUNT', 2)
  for _, entry in ipairs(found) do
    if entry[1] ~= id then return entry[1] end
  end
  return ''
end
local groups, seen = {}, {}
if redis.call('EXISTS', stream) == 1 then
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local group = {}
    for at = 1, #flat, 2 do group[flat[at]] = flat[at + 1] end
    local oldest = ''
    if group.pending > 0 then
      oldest = redis.call('XPENDING', stream, group.name)[2]
    else
      oldest = first_after(group['last-delivered-id'])
    end
    groups[#groups + 1] = {group.name, group.pending, group.lag or false, oldest}
    seen[group.name] = true
  end
end
for _, name in ipairs(ARGV) do
  if not seen[name] then groups[#groups + 1] = {name, 0, false, first_after('0-0')} end
end
return {redis.call('XLEN', stream), tostring(now_ms), groups}
"""

# How many processes of a group were heard of in the last ARGV[1] ms.
_ALIVE = """
local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
return redis.call('ZCOUNT', KEYS[1], now_ms - ARGV[1], '+inf')
"""


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """One group of a stream. `oldest_unacked_ms` is the time of the oldest entry that it has not
    finished (Unix epoch, None: it has finished all); `lag` the entries not delivered to it yet.
    """

    group: str
    registered: bool
    lag: int | None
    pending: int
    oldest_unacked_ms: int | None
    oldest_unacked_s: float
    consumers: int


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """One stream, its dead letters counted apart."""

    stream: str
    length: int
    dead: int
    groups: tuple[GroupStatus, ...]


async def read_status(
    redis: Redis, registered: Mapping[str, Sequence[str]], lease_ms: int
) -> list[StreamStatus]:
    """How each stream of the table and every group of it stands. Raises Unavailable.

    A process counts as one of a group's `consumers` while its heartbeat is younger than `lease_ms`.
    """
    states = await _states(redis, registered)
    async with redis_errors():
        names = {group[0].decode() for state in states for group in state[2]}
        async with redis.pipeline(transaction=False) as pipeline:
            for stream in registered:
                pipeline.xlen(dead_stream(redis, stream))
            dead = await pipeline.execute()
        alive = await _alive(redis, names, lease_ms)
    return [
        _status(stream, registered[stream], state, buried, alive)
        for stream, state, buried in zip(registered, states, dead, strict=True)
    ]


async def oldest_unfinished_s(
    redis: Redis, registered: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    """The age in seconds of the oldest entry of each stream that one of its groups has not
    finished; 0.0 where all have finished all. Raises Unavailable.
    """
    states = await _states(redis, registered)
    return {
        stream: max(
            (_age_s(now_ms, oldest) for name, _, _, oldest in found if name.decode() in groups),
            default=0.0,
        )
        for (stream, groups), (_, now_ms, found) in zip(registered.items(), states, strict=True)
    }


async def _states(redis: Redis, registered: Mapping[str, Sequence[str]]) -> list[Any]:
    script = redis.register_script(_STATUS)
    async with redis_errors(), redis.pipeline(transaction=False) as pipeline:
        for stream, groups in registered.items():
            await script([stream], list(groups), client=pipeline)
        states: list[Any] = await pipeline.execute()
    return states


def _age_s(now_ms: bytes, oldest: bytes) -> float:
    """How old the entry with the id `oldest` is; 0.0 where there is none."""
    if not oldest:
        return 0.0
    return max(0.0, (int(now_ms) - int(oldest.partition(b"-")[0])) / 1000)


async def _alive(redis: Redis, groups: set[str], lease_ms: int) -> dict[str, int]:
    async with redis.pipeline(transaction=False) as pipeline:
        for group in groups:
            pipeline.eval(_ALIVE, 1, members_key(group), lease_ms)
        return dict(zip(groups, await pipeline.execute(), strict=True))


def _status(
    stream: str, registered: Sequence[str], state: Any, dead: int, alive: Mapping[str, int]
) -> StreamStatus:
    length, now_ms, groups = state
    shown = []
    for raw_name, pending, lag, oldest in groups:
        name = raw_name.decode()
        oldest_ms = int(oldest.partition(b"-")[0]) if oldest else None
        age_s = _age_s(now_ms, oldest)
        shown.append(
            GroupStatus(name, name in registered, lag, pending, oldest_ms, age_s, alive[name])
        )
    return StreamStatus(stream, length, dead, tuple(shown))


# ---------------------------------------------------------------------- rates and samples


@dataclass(frozen=True, slots=True)
class Totals:
    """Entries ever added to some streams, and ever finished by a group of them.

    None where Redis cannot say: a stream that does not exist has had none.
    """

    added: int
    finished: int | None


async def read_totals(redis: Redis, streams: Sequence[str], group: str) -> Totals:
    """What was added to these streams and finished by the group since they exist."""
    async with redis_errors(), redis.pipeline(transaction=False) as pipeline:
        for stream in streams:
            pipeline.execute_command("XINFO STREAM", stream)
            pipeline.execute_command("XINFO GROUPS", stream)
        replies = await pipeline.execute(raise_on_error=False)
    added, finished = 0, 0
    known = True
    for about, groups in zip(replies[::2], replies[1::2], strict=True):
        if isinstance(about, ResponseError) or isinstance(groups, ResponseError):
            continue  # there is no such stream yet
        here = _number(about, "entries-added") or 0
        added += here
        for state in groups:
            if _text(state, "name") == group:
                # Not `entries-read`: it is unknown for as long as the group has read nothing.
                lag = _number(state, "lag")
                known = known and lag is not None
                finished += here - (lag or 0) - (_number(state, "pending") or 0)
    return Totals(added, finished if known else None)


async def newest(
    redis: Redis, streams: Sequence[str], most: int, after: Mapping[str, str]
) -> dict[str, list[tuple[str, dict[str, bytes]]]]:
    """The newest entries of each stream, at most `most`, the oldest of them first, and of a stream
    in `after` those alone that came after the entry with that id.
    """
    async with redis_errors(), redis.pipeline(transaction=False) as pipeline:
        for stream in streams:
            least = f"({after[stream]}" if stream in after else "-"
            pipeline.xrevrange(stream, min=least, count=most)
        replies = await pipeline.execute()
    return {
        stream: [
            (entry_id.decode(), {name.decode(): value for name, value in fields.items()})
            for entry_id, fields in reversed(entries)
        ]
        for stream, entries in zip(streams, replies, strict=True)
    }


async def process_metrics(redis: Redis, groups: Sequence[str]) -> dict[tuple[str, str], bytes]:
    """What the living processes of these groups left with their heartbeat, by group and boot id."""
    async with redis_errors():
        async with redis.pipeline(transaction=False) as pipeline:
            for group in groups:
                pipeline.zrange(members_key(group), 0, -1)
            members = await pipeline.execute()
        processes = [
            (group, boot_id.decode())
            for group, boot_ids in zip(groups, members, strict=True)
            for boot_id in boot_ids
        ]
        async with redis.pipeline(transaction=False) as pipeline:
            for group, boot_id in processes:
                pipeline.get(metrics_key(group, boot_id))
            left = await pipeline.execute()
    return {who: data for who, data in zip(processes, left, strict=True) if data is not None}


def _fields(flat: Any) -> dict[str, Any]:
    if isinstance(flat, dict):
        return {
            str(name, "utf-8") if isinstance(name, bytes) else name: flat[name] for name in flat
        }
    return {flat[at].decode(): flat[at + 1] for at in range(0, len(flat), 2)}


def _number(flat: Any, name: str) -> int | None:
    value = _fields(flat).get(name)
    return None if value is None else int(value)


def _text(flat: Any, name: str) -> str:
    value = _fields(flat)[name]
    return value.decode() if isinstance(value, bytes) else str(value)
