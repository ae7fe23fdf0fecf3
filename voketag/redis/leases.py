"""Leases: which process owns a stream for a group, as Redis sees it, by the clock of Redis.

A lease is a hash with the owner's boot id and the time at which others may take it. It does not
vanish at that time: one that ran out and that nobody took is still its owner's, and one that was
not given back is seen to have been left behind. Taking, renewing and giving back need no memory
that Redis would have to find first: a full Redis is emptied by consumers.
"""

from __future__ import annotations

_NOW_MS = """
local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
"""

# Takes the lease or renews it, for ARGV[2] ms. Gives 0 where another process holds it, and 2 where
# it was taken from a process that let it run out: that one was killed, or stood still.
TAKE = f"""#!lua flags=allow-oom
{_NOW_MS}
local owner, until_ms = unpack(redis.call('HMGET', KEYS[1], 'boot_id', 'until_ms'))
local others = owner and owner ~= ARGV[1]
if others and tonumber(until_ms) > now_ms then return 0 end
redis.call('HSET', KEYS[1], 'boot_id', ARGV[1], 'until_ms', now_ms + ARGV[2])
return others and 2 or 1
"""

# Renews the lease and never takes it: whoever lost it may still hold entries that the next owner
# has finished, and must let go of them first. Gives 0 where it is lost.
RENEW = f"""#!lua flags=allow-oom
{_NOW_MS}
if redis.call('HGET', KEYS[1], 'boot_id') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'until_ms', now_ms + ARGV[2])
return 1
"""

RELEASE = """
if redis.call('HGET', KEYS[1], 'boot_id') == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""

# Says that a process of a group is alive; gives how many were in the last ARGV[2] ms.
BEAT = f"""#!lua flags=allow-oom
{_NOW_MS}
redis.call('ZADD', KEYS[1], now_ms, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, now_ms - ARGV[2])
return redis.call('ZCARD', KEYS[1])
"""

LEAVE_FIGURES = """#!lua flags=allow-oom
return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
"""


def owner_key(stream: str, group: str) -> str:
    """The key of the lease; it lies in the stream's own hash slot."""
    return f"owner:{group}:{stream if '{' in stream else '{' + stream + '}'}"
