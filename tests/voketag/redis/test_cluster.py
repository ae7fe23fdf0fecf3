"""A Redis Cluster: a consumer's hop stays in one hash slot, and three primaries are used as if they
were one Redis, also while one of them is away and while a slot moves.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis.exceptions
from redis.asyncio import Redis

from tests.consuming import (
    GROUP,
    OUT,
    STREAM,
    consumer_of,
    number,
    passed_on,
    process,
    publish,
    until_idle,
    until_passed_on,
)
from tests.redis_cluster import Primary, RedisCluster, free_ports, redis_cluster
from tests.servers import binaries, eventually
from voketag import events, identifiers, notices
from voketag.errors import Rejected, SettingsError, Unavailable
from voketag.events import Notice
from voketag.redis import intake
from voketag.redis.connection import Command, connect
from voketag.redis.dead_letters import oldest, redrive
from voketag.redis.durability import refuse_forgetful, running_faults
from voketag.redis.following import follow
from voketag.redis.heartbeat import Heartbeat
from voketag.redis.notice_feed import Listener, NoticeFeed
from voketag.redis.pressure import measure
from voketag.redis.stream_status import read_status
from voketag.redis.streams import Entry, Streams, add
from voketag.redis.trimming import trim
from voketag.risk.history import History
from voketag.stack.redis import find_binary
from voketag.tasks import end
from voketag.topology import members_key

SLOTS = 16384
SHARDS = 4  # shard 3 lies on the first primary, 1 and 2 on the second, 0 on the third
LEASE_MS = 2000
AWAY = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)


@pytest.fixture
async def cluster_url(tmp_path: Path) -> AsyncIterator[str]:
    """A cluster of one server, which serves every slot."""
    port, bus_port = free_ports(2)
    arguments = f"--port {port} --cluster-port {bus_port} --bind 127.0.0.1 --dir {tmp_path}"
    running = await asyncio.create_subprocess_exec(
        str(binaries().redis or find_binary()),
        *arguments.split(),
        *("--save", "", "--cluster-enabled", "yes"),
        stdout=asyncio.subprocess.DEVNULL,
    )
    url = f"redis://127.0.0.1:{port}/0"
    async with Redis.from_url(url) as client:
        command: Any = client.execute_command

        async def answers() -> bool:
            try:
                return bool(await client.ping())
            except redis.exceptions.ConnectionError:
                return False

        async def serves() -> bool:
            about = await command("CLUSTER INFO")
            return bool(about["cluster_state"] == "ok")

        try:
            await eventually(answers)
            await command("CLUSTER ADDSLOTSRANGE", 0, SLOTS - 1)
            await eventually(serves)
            with pytest.raises(redis.exceptions.ResponseError, match="slot"):
                await command("MGET", "a", "b")
            yield url
        finally:
            running.terminate()
            await running.wait()


async def test_f30_a_consumers_hop_stays_in_one_hash_slot(cluster_url: str) -> None:
    """Own, read, score with what follows from it, bury, redrive, look, trim."""
    refused = True

    async def handle(entries: Sequence[Entry]) -> Sequence[Command]:
        if refused and any(number(entry) == 3 for entry in entries):
            raise Rejected("not today")
        history = intake.remember(0, uuid4(), History())
        return [add(OUT, entry.fields or {}) for entry in entries] + [history]

    async with Redis.from_url(cluster_url) as client:
        await publish(client, range(6))
        async with process(cluster_url, "a", consumer_of(handle)):
            await until_passed_on(client, 5)
            await until_idle(client)
            ((letter),) = await oldest(client, STREAM, 10)
            refused = False
            assert await redrive(client, STREAM, letter.entry_id) is not None
            await until_passed_on(client, 6)
            await until_idle(client)
            (status,) = await read_status(client, {STREAM: (GROUP,)}, 60_000)
            assert (status.length, status.dead, status.groups[0].consumers) == (7, 0, 1)
        assert await passed_on(client) == [0, 1, 2, 4, 5, 3]
        assert await trim(client, STREAM, (GROUP,), 0, 100) == 7


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[RedisCluster]:
    async with redis_cluster(tmp_path) as running:
        yield running


# ---------------------------------------------------------------------- sent once


async def test_f3_a_write_whose_reply_never_came_is_not_sent_again(cluster: RedisCluster) -> None:
    """Neither alone nor in a pipeline: the server did it, and only the caller may try again."""
    alone, first, second = events.scans(0), events.scored(0), events.scored(1)

    async def together() -> None:
        async with client.pipeline(transaction=False) as pipeline:
            pipeline.xadd(first, {"n": 1})
            pipeline.xadd(second, {"n": 1})
            await pipeline.execute()

    async with connect(cluster.url, timeout_s=0.5) as client:
        for number, write in enumerate((lambda: client.xadd(alone, {"n": 1}), together), 1):
            assert await client.exists(alone) == number - 1  # it is connected
            with standing_still(cluster.of(alone)), pytest.raises(AWAY):
                await write()
            assert await passed_on(client, alone) == [1]
        assert (await client.xlen(first), await client.xlen(second)) == (1, 1)


@contextlib.contextmanager
def standing_still(primary: Primary) -> Iterator[None]:
    """It takes in what is sent, and carries it out only afterwards."""
    assert primary.process is not None
    primary.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        primary.process.send_signal(signal.SIGCONT)


# ---------------------------------------------------------------------- a primary is away


async def test_what_begins_while_a_primary_is_away_works_with_the_others(
    cluster: RedisCluster,
) -> None:
    """Whichever of them the cluster lists first."""
    for away in cluster.primaries:
        await away.kill()
        async with connect(cluster.url) as client:
            for shard in range(SHARDS):
                stream = events.scans(shard)
                if cluster.of(stream) is not away:
                    assert await client.xadd(stream, {"n": 1})
                    continue
                with pytest.raises(AWAY):
                    await client.xadd(stream, {"n": 1})
            assert await client.ping()
            measured = await measure(client, SHARDS, 0, may_lose=False)
            there = [cluster.of(events.scans(shard)) is not away for shard in range(SHARDS)]
            assert [age_s is not None for age_s in measured.oldest_s] == there
            assert (measured.memory_share is not None, measured.faults) == (True, ())
        await away.start()
        await cluster.whole()


async def test_f11_leases_whose_primary_answers_are_kept_while_another_is_away(
    cluster: RedisCluster,
) -> None:
    streams = Streams(cluster.url, "a")
    heartbeat = Heartbeat(cluster.url, "a", GROUP, LEASE_MS)
    held = [events.scans(shard) for shard in range(SHARDS)]
    try:
        assert heartbeat.beat([]).alive == 1
        for stream in held:
            assert await streams.own(stream, GROUP, LEASE_MS)
        for away in cluster.primaries:
            await away.kill()
            beat = await asyncio.to_thread(heartbeat.beat, held, b"figures")
            told = None if away is cluster.of(members_key(GROUP)) else 1
            assert (beat.alive, beat.lost) == (told, frozenset())
            await away.start()
            await cluster.whole()
        await streams.disown(held[0], GROUP)
        assert heartbeat.beat(held).lost == {held[0]}
        for primary in cluster.primaries:
            await primary.kill()
        with pytest.raises(Unavailable):
            await asyncio.to_thread(heartbeat.beat, held)
    finally:
        heartbeat.close()
        await streams.close()


# ---------------------------------------------------------------------- a slot moves


async def test_a_slot_that_moves_takes_its_scans_along(cluster: RedisCluster) -> None:
    """What was delivered and not finished as well; whoever works on it goes on there."""
    passing = asyncio.Event()

    async def handle(entries: Sequence[Entry]) -> Sequence[Command]:
        await passing.wait()
        return [add(OUT, entry.fields or {}) for entry in entries]

    other = next(one for one in cluster.primaries if one is not cluster.of(STREAM))
    async with (
        connect(cluster.url) as client,
        process(cluster.url, "a", consumer_of(handle)),
    ):
        await publish(client, range(3))

        async def delivered() -> bool:
            groups: Any = await client.xinfo_groups(STREAM)
            return any(group["pending"] for group in groups)

        await eventually(delivered)
        await cluster.move(STREAM, other)
        await publish(client, range(3, 6))
        passing.set()
        await until_passed_on(client, 6)
        await until_idle(client)
        assert await passed_on(client) == list(range(6))
        assert await other.command("EXISTS", STREAM, OUT) == 2


# ---------------------------------------------------------------------- what ops and others see


async def test_dead_letters_lie_with_their_stream(cluster: RedisCluster) -> None:
    streams = Streams(cluster.url, "a")
    try:
        for stream in (events.ROOTS, events.NOTICES, events.batches(3)):
            entry_id = await streams.publish(stream, {"n": b"1"})
            await streams.ensure_group(stream, GROUP)
            assert await streams.own(stream, GROUP, LEASE_MS)
            (entry,) = await streams.read(stream, GROUP, pending=False, count=10)
            assert entry.entry_id == entry_id
            await streams.bury(GROUP, entry, "no", 1)
            ((letter),) = await oldest(streams.redis, stream, 10)
            assert (letter.original_id, letter.fields) == (entry_id, {"n": b"1"})
            (status,) = await read_status(streams.redis, {stream: (GROUP,)}, LEASE_MS)
            assert (status.dead, status.groups[0].pending) == (1, 0)
            assert await redrive(streams.redis, stream, letter.entry_id) is not None
            assert await oldest(streams.redis, stream, 10) == []
    finally:
        await streams.close()


async def test_streams_of_several_primaries_are_followed(cluster: RedisCluster) -> None:
    streams = [events.scans(shard) for shard in range(SHARDS)]
    async with connect(cluster.url) as client:
        for stream in streams:
            await publish(client, range(3), stream)
        seen: dict[str, list[bytes]] = {stream: [] for stream in streams}
        async with (
            contextlib.aclosing(follow(cluster.url, streams, from_start=True)) as entries,
            asyncio.timeout(20),
        ):
            async for entry in entries:
                seen[entry.stream].append(entry.fields["n"])
                if entry.fields["n"] == b"2":
                    await publish(client, range(3, 4), entry.stream)
                if all(len(found) == 4 for found in seen.values()):
                    break
    assert seen == {stream: [b"0", b"1", b"2", b"3"] for stream in streams}


async def test_a_notice_is_heard_wherever_it_is_published(cluster: RedisCluster) -> None:
    factory_id, batch_id = identifiers.new_id(), identifiers.new_id()
    notice_id = notices.notice_id(batch_id, "batch.failed")
    notice = events.to_json(Notice(notice_id, factory_id, "batch.failed", batch_id, 0))
    heard: list[Notice] = []

    def hear(notice: Notice) -> bool:
        heard.append(notice)
        return True

    def has_heard(number: int) -> bool:
        return len(heard) == number

    feed = NoticeFeed(cluster.url)
    running = asyncio.create_task(feed.run())
    try:
        await feed.connected()
        with feed.listening(factory_id, Listener(hear, lambda: None)):
            for number, primary in enumerate(cluster.primaries, 1):
                await primary.command("PUBLISH", notices.channel(factory_id), notice)
                await eventually(partial(has_heard, number))
    finally:
        await end(running)


async def test_f1_every_primary_is_looked_at(cluster: RedisCluster) -> None:
    async with connect(cluster.url) as client:
        await refuse_forgetful(client, None)
        for primary in cluster.primaries:
            await primary.command("CONFIG", "SET", "appendfsync", "everysec")
            with pytest.raises(SettingsError) as refused:
                await refuse_forgetful(client, None)
            assert f"({primary.place}) can lose a write" in str(refused.value)
            assert len(await running_faults(client, 0)) == 1
            await primary.command("CONFIG", "SET", "appendfsync", "always")
        assert await running_faults(client, 0) == ()


async def test_one_redis_is_not_taken_for_a_cluster(redis_url: str) -> None:
    async with connect(redis_url.replace("redis://", "redis+cluster://")) as client:
        with pytest.raises(SettingsError, match="is no cluster: write redis://"):
            await refuse_forgetful(client, None)
