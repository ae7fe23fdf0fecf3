"""How full Redis is and how far its streams are behind: what backpressure goes by."""

from __future__ import annotations

from redis.asyncio import Redis

from voketag import events, topology
from voketag.backpressure import Pressure
from voketag.redis.cluster import by_server, primaries
from voketag.redis.connection import redis_errors, those_that_answer
from voketag.redis.durability import running_faults
from voketag.redis.stream_status import oldest_unfinished_s


async def measure(redis: Redis, shards: int, replicas: int, *, may_lose: bool) -> Pressure:
    """The pressure on Redis now, in a handful of round trips. Raises Unavailable.

    A shard is as old as the older of its streams, accepted scans and scored ones. Where Redis
    `may_lose`, nobody asks whether it does. Of a cluster the primaries that answer are measured:
    one that is away accepts no scans.
    """
    kinds = (events.scans, events.scored)
    groups = topology.groups_of(shards)
    streams = [kind(shard) for shard in range(shards) for kind in kinds]
    async with redis_errors():
        parts = await by_server(redis, streams)
    told = await those_that_answer(
        oldest_unfinished_s(server, {stream: groups[stream] for stream in part})
        for server, part in parts
    )
    ages = {stream: age_s for ages in told for stream, age_s in ages.items()}
    oldest_s = tuple(
        max((ages[stream] for kind in kinds if (stream := kind(shard)) in ages), default=None)
        for shard in range(shards)
    )
    faults = () if may_lose else await running_faults(redis, replicas)
    return Pressure(await memory_share(redis), oldest_s, faults)


async def memory_share(redis: Redis) -> float | None:
    """The memory in use as a share of `maxmemory`, or of the machine's where that is 0; of a
    cluster that of the fullest primary.

    Counted as Redis counts it before it refuses a write: without what it does not count for that.
    None where it does not say. Raises Unavailable.
    """
    async with redis_errors():
        servers = await primaries(redis)
    told = await those_that_answer(map(_memory_share, servers))
    return max((share for share in told if share is not None), default=None)


async def _memory_share(redis: Redis) -> float | None:
    async with redis_errors():
        about = await redis.info("memory")
    limit = int(about.get("maxmemory", 0)) or int(about.get("total_system_memory", 0))
    if not limit:
        return None
    return (int(about["used_memory"]) - int(about.get("mem_not_counted_for_evict", 0))) / limit
