"""Trimming a stream by what every registered group has finished with, never by its length."""

from __future__ import annotations

from collections.abc import Sequence

from redis.asyncio import Redis

from voketag.redis.connection import redis_errors

# One script, so that nothing is delivered between reading what was delivered and trimming. The
# first entry a group still needs is its smallest pending one, or the one after the last delivered.
# Entries younger than ARGV[1] ms stay, but not many more than ARGV[2] of them: as many as fall into
# their share of the time that the stream spans. Gives the entries removed, or -1 where the stream
# lacks a group: that group will be made at the beginning and must find everything.
_TRIM = """
local stream = KEYS[1]
if redis.call('EXISTS', stream) == 0 then return 0 end
local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
local keep_ms, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local length = redis.call('XLEN', stream)
if length > most then
  local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1][1]
  local first_ms = tonumber(string.match(first, '^%d+'))
  keep_ms = math.min(keep_ms, math.floor(math.max(0, now_ms - first_ms) * most / length))
end
local ms, seq = now_ms - keep_ms, 0
local known = {}
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  local group = {}
  for at = 1, #flat, 2 do group[flat[at]] = flat[at + 1] end
  known[group.name] = group
end
for at = 3, #ARGV do
  local group = known[ARGV[at]]
  if not group then return -1 end
  local id, after = group['last-delivered-id'], 1
  if group.pending > 0 then id, after = redis.call('XPENDING', stream, ARGV[at])[2], 0 end
  local id_ms, id_seq = string.match(id, '^(%d+)-(%d+)$')
  id_ms, id_seq = tonumber(id_ms), tonumber(id_seq) + after
  if id_ms < ms or (id_ms == ms and id_seq < seq) then ms, seq = id_ms, id_seq end
end
if ms < 0 then return 0 end
return redis.call('XTRIM', stream, 'MINID', '=', string.format('%.0f-%.0f', ms, seq))
"""


async def trim(
    redis: Redis, stream: str, groups: Sequence[str], keep_ms: int, keep_most: int
) -> int | None:
    """Remove what all `groups` have finished and what is older than `keep_ms`, or, of more than
    `keep_most` entries that are younger, the older ones.

    Gives how many entries were removed; None where one of the groups does not exist, which leaves
    the stream as it is. Raises Unavailable.
    """
    if not groups:
        raise ValueError(f"{stream} has no registered group: nobody says what may go")
    async with redis_errors():
        removed = int(await redis.register_script(_TRIM)([stream], [keep_ms, keep_most, *groups]))
    return None if removed < 0 else removed
