"""The heartbeat on a real Redis: leases renewed and lost, processes counted."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import pytest
from redis.asyncio import Redis

from tests.cutting_proxy import cutting_proxy
from voketag import topology
from voketag.errors import Unavailable
from voketag.redis.heartbeat import Beat, Heartbeat
from voketag.redis.leases import owner_key
from voketag.redis.stream_status import read_status
from voketag.redis.streams import Streams

STREAM, OTHER, GROUP, LEASE_MS = "scans:{0}", "scans:{1}", "score", 60_000


@contextlib.contextmanager
def heartbeat_of(url: str, boot_id: str, lease_ms: int = LEASE_MS) -> Iterator[Heartbeat]:
    heartbeat = Heartbeat(url, boot_id, GROUP, lease_ms)
    try:
        yield heartbeat
    finally:
        heartbeat.close()


async def left_ms(client: Redis, stream: str) -> int:
    until_ms = await client.hget(owner_key(stream, GROUP), "until_ms")
    seconds, microseconds = await client.time()
    return int(until_ms or 0) - seconds * 1000 - microseconds // 1000


async def test_f11_a_heartbeat_renews_what_is_held_and_tells_what_was_lost(redis_url: str) -> None:
    streams = Streams(redis_url, "a")
    with heartbeat_of(redis_url, "a") as heartbeat, heartbeat_of(redis_url, "b") as other:
        assert await streams.own(STREAM, GROUP, 1)
        assert heartbeat.beat([STREAM, OTHER]) == Beat(1, frozenset({OTHER}))
        assert await left_ms(streams.redis, STREAM) > LEASE_MS / 2
        assert await streams.redis.exists(owner_key(OTHER, GROUP)) == 0  # renewed, never taken
        assert other.beat([STREAM]) == Beat(2, frozenset({STREAM}))
        assert not heartbeat.beat([STREAM]).lost
    await streams.close()


async def test_f13_a_lease_that_ran_out_stays_its_owners_until_it_is_taken(redis_url: str) -> None:
    first, second = Streams(redis_url, "a"), Streams(redis_url, "b")
    with heartbeat_of(redis_url, "a", lease_ms=1000) as heartbeat:
        assert await first.own(STREAM, GROUP, 0)
        assert await left_ms(first.redis, STREAM) <= 0
        assert not heartbeat.beat([STREAM]).lost
        assert await first.own(STREAM, GROUP, 0)
        assert await second.own(STREAM, GROUP, 0)
        await second.disown(STREAM, GROUP)
        # Free again, but what the first had in hand the second may have finished.
        assert heartbeat.beat([STREAM]).lost == {STREAM}
    await first.close()
    await second.close()


async def test_processes_are_counted_by_the_clock_of_redis(redis_url: str) -> None:
    registered = {STREAM: (GROUP,)}
    with (
        heartbeat_of(redis_url, "a") as heartbeat,
        heartbeat_of(redis_url, "b") as other,
        heartbeat_of(redis_url, "c", lease_ms=500) as impatient,
    ):
        assert heartbeat.beat([], b"[]").alive == 1
        assert other.beat([]).alive == 2
        async with Redis.from_url(redis_url) as client:
            key = topology.members_key(GROUP)
            seconds, _ = await client.time()
            assert abs(int(await client.zscore(key, "a") or 0) / 1000 - seconds) < 60
            figures = topology.metrics_key(GROUP, "a")
            assert await client.get(figures) == b"[]"
            assert await client.pttl(figures) > 0
            (status,) = await read_status(client, registered, LEASE_MS)
            assert [group.consumers for group in status.groups] == [2]
            while impatient.beat([]).alive != 1:  # the others are soon too old for it
                pass
            assert await client.zrange(key, 0, -1) == [b"c"]


async def test_f23_a_connection_that_fell_silent_is_given_up_within_the_lease(
    redis_url: str,
) -> None:
    async with cutting_proxy(redis_url) as (proxy, url):
        with heartbeat_of(url, "a", lease_ms=2000) as heartbeat:
            await asyncio.to_thread(heartbeat.beat, [])
            proxy.freeze()
            with pytest.raises(Unavailable):
                await asyncio.to_thread(heartbeat.beat, [])
            assert (await asyncio.to_thread(heartbeat.beat, [])).alive == 1


async def test_f6_leases_are_taken_and_renewed_where_redis_is_full(redis_url: str) -> None:
    streams = Streams(redis_url, "a")
    await streams.publish(STREAM, {"n": b"1"})
    await streams.ensure_group(STREAM, GROUP)
    await streams.redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(Unavailable):
            await streams.publish(STREAM, {"n": b"2"})
        with heartbeat_of(redis_url, "a") as heartbeat:
            assert await streams.own(STREAM, GROUP, LEASE_MS)
            assert heartbeat.beat([STREAM], b"[]") == Beat(1, frozenset())
        entries = await streams.read(STREAM, GROUP, pending=False, count=1)
        await streams.bury(GROUP, entries[0], "whatever follows from it is written", 1)
        assert await streams.redis.xlen(STREAM + ":dead") == 1
    finally:
        await streams.redis.config_set("maxmemory", 0)
        await streams.close()
