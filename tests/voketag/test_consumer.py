"""The loop on a real Redis: redelivery, sharing, stopping."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.consuming import (
    GROUP,
    STREAM,
    Worker,
    consumer_of,
    passed_on,
    process,
    publish,
    until_idle,
    until_passed_on,
)
from tests.factory_floor import until
from voketag.consumer import Consumer
from voketag.errors import Fenced
from voketag.ownership import LEASE_MS
from voketag.redis.connection import Command
from voketag.redis.heartbeat import Heartbeat
from voketag.redis.leases import owner_key
from voketag.redis.streams import Entry, Streams
from voketag.tasks import end


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as opened:
        yield opened


async def test_entries_are_handled_in_order_and_what_follows_is_done_once(
    redis_url: str, client: Redis
) -> None:
    worker = Worker()
    await publish(client, range(30))
    async with process(redis_url, "a", consumer_of(worker.handle, batch=7)):
        await publish(client, range(30, 50))
        await until_passed_on(client, 50)
        await until_idle(client)
    assert await passed_on(client) == list(range(50))
    assert max(map(len, worker.batches)) <= 7


async def test_a_tick_runs_by_itself_and_after_entries(redis_url: str, client: Redis) -> None:
    ticked = asyncio.Semaphore(0)

    async def tick() -> float:
        ticked.release()
        if ticked._value == 2:
            raise ValueError("a tick that fails does not end the process")
        return 3600.0

    async with process(redis_url, "a", consumer_of(Worker().handle, tick=tick)):
        await ticked.acquire()
        for n in range(3):
            await publish(client, range(n, n + 1))
            await ticked.acquire()


async def test_a_consumer_without_streams_ticks(redis_url: str) -> None:
    ticked = asyncio.Event()

    async def tick() -> float:
        ticked.set()
        return 3600.0

    async def handle(_: Sequence[Entry]) -> Sequence[Command]:
        raise AssertionError("there is nothing to handle")

    async with process(redis_url, "a", Consumer("maintain", (), handle, tick=tick)):
        await ticked.wait()


async def test_f10_f11_what_a_killed_owner_had_in_hand_is_handled_by_the_next(
    redis_url: str, client: Redis
) -> None:
    """The dead process leaves what a SIGKILL leaves: its lease and entries read but not done."""
    dead = Streams(redis_url, "dead")
    await dead.ensure_group(STREAM, GROUP)
    await publish(client, range(10))
    with contextlib.closing(Heartbeat(redis_url, "dead", GROUP, LEASE_MS)) as heartbeat:
        heartbeat.beat([])
    assert await dead.own(STREAM, GROUP, LEASE_MS)
    assert len(await dead.read(STREAM, GROUP, pending=False, count=4)) == 4
    await dead.close()
    worker = Worker()
    async with process(redis_url, "next", consumer_of(worker.handle)):
        await until_passed_on(client, 10)
        await until_idle(client)
    assert await passed_on(client) == list(range(10))
    assert worker.batches[0] == [0, 1, 2, 3]


async def test_f13_an_owner_that_was_overtaken_leaves_its_batch_to_the_new_one(
    redis_url: str, client: Redis
) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()
    slow, quick = Worker(), Worker()

    async def stalled(entries: Sequence[Entry]) -> Sequence[Command]:
        entered.set()
        await go_on.wait()
        return await slow.handle(entries)

    await publish(client, range(3))
    async with process(redis_url, "slow", consumer_of(stalled)):
        await entered.wait()
        await client.hset(owner_key(STREAM, GROUP), "boot_id", "quick")
        new = Streams(redis_url, "quick")
        left = await new.read(STREAM, GROUP, pending=True, count=10)
        await new.complete(GROUP, left, await quick.handle(left))
        go_on.set()
        await publish(client, range(3, 4))
    await new.disown(STREAM, GROUP)
    await new.close()
    async with process(redis_url, "third", consumer_of(quick.handle)):
        await until_passed_on(client, 4)
    assert await passed_on(client) == [0, 1, 2, 3]


async def owners(client: Redis, streams: Sequence[str]) -> dict[str, str]:
    held: Any = [await client.hget(owner_key(stream, GROUP), "boot_id") for stream in streams]
    return {s: value.decode() for s, value in zip(streams, held, strict=True) if value}


async def until_shared(client: Redis, streams: Sequence[str], shares: dict[str, int]) -> None:
    async def shared() -> bool:
        return Counter((await owners(client, streams)).values()) == shares

    await until(shared, f"streams shared as {shares}")


@contextlib.asynccontextmanager
async def traffic(client: Redis, streams: Sequence[str]) -> AsyncIterator[None]:
    """Entries that keep coming, so that owners notice at once what they have to give up."""

    async def flow() -> None:
        while True:
            for stream in streams:
                await publish(client, range(1), stream)
            await asyncio.sleep(0.01)

    flowing = asyncio.create_task(flow())
    try:
        yield
    finally:
        await end(flowing)


@pytest.mark.parametrize("busy", [False, True])
async def test_streams_are_shared_fairly_as_processes_come_and_go(
    redis_url: str, client: Redis, busy: bool
) -> None:
    streams = tuple(f"scans:{{{shard}}}" for shard in range(6))
    consumer = consumer_of(Worker().handle, *streams)
    async with contextlib.AsyncExitStack() as stack:
        if busy:
            await stack.enter_async_context(traffic(client, streams))
        await stack.enter_async_context(process(redis_url, "a", consumer))
        await until_shared(client, streams, {"a": 6})
        await stack.enter_async_context(process(redis_url, "b", consumer))
        await until_shared(client, streams, {"a": 3, "b": 3})
        async with process(redis_url, "c", consumer):
            await until_shared(client, streams, {"a": 2, "b": 2, "c": 2})
        await until_shared(client, streams, {"a": 3, "b": 3})


async def test_a_stream_handed_over_is_not_taken_back_by_the_one_that_gave_it(
    redis_url: str, client: Redis
) -> None:
    """Everything is handled once and in order per stream, whoever owns it at the time."""
    streams = tuple(f"scans:{{{shard}}}" for shard in range(4))
    consumer = consumer_of(Worker().handle, *streams, batch=1)
    async with process(redis_url, "a", consumer):
        for n in range(40):
            await publish(client, range(n, n + 1), streams[n % 4])
        async with process(redis_url, "b", consumer):
            await until_shared(client, streams, {"a": 2, "b": 2})
            for n in range(40, 80):
                await publish(client, range(n, n + 1), streams[n % 4])
            await until_passed_on(client, 80)
    numbers = await passed_on(client)
    assert sorted(numbers) == list(range(80))
    for shard in range(4):
        assert [n for n in numbers if n % 4 == shard] == list(range(shard, 80, 4))


async def test_f9_stopping_finishes_the_batch_in_hand_and_gives_the_lease_back(
    redis_url: str, client: Redis
) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()
    worker = Worker()

    async def slow(entries: Sequence[Entry]) -> Sequence[Command]:
        entered.set()
        await go_on.wait()
        return await worker.handle(entries)

    await publish(client, range(5))
    async with process(redis_url, "a", consumer_of(slow)) as loop:
        await entered.wait()
        loop.stop()
        go_on.set()
    assert await passed_on(client) == list(range(5))
    assert await owners(client, [STREAM]) == {}
    assert await client.zcard(f"members:{GROUP}") == 0


async def test_f9_stopping_amid_trouble_buries_nothing_and_keeps_the_order(
    redis_url: str, client: Redis
) -> None:
    """A stop must not hurry an entry through its attempts into the dead letters, nor let later
    entries pass it.
    """
    failed = asyncio.Event()

    def stumble(numbers: list[int]) -> None:
        if 1 in numbers:
            if len(numbers) == 1:
                failed.set()
            raise ValueError("passes, but not yet")

    await publish(client, range(4))
    async with process(redis_url, "a", consumer_of(Worker(stumble).handle)):
        await failed.wait()
    assert await client.exists(STREAM + ":dead") == 0
    assert await passed_on(client) == [0]
    async with process(redis_url, "b", consumer_of(Worker().handle)):
        await until_passed_on(client, 4)
    assert await passed_on(client) == [0, 1, 2, 3]


async def test_a_handler_that_finds_itself_fenced_leaves_everything(
    redis_url: str, client: Redis
) -> None:
    fenced = asyncio.Event()

    def lose_once(_: list[int]) -> None:
        if not fenced.is_set():
            fenced.set()
            raise Fenced("another writer")

    await publish(client, range(3))
    async with process(redis_url, "a", consumer_of(Worker(lose_once).handle)):
        await until_passed_on(client, 3)
    assert await passed_on(client) == [0, 1, 2]
    assert await client.exists(STREAM + ":dead") == 0
