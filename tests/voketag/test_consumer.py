"""The loop on a real Redis: redelivery, poison, outages, sharing, stopping."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.factory_floor import until
from tests.servers import Servers
from voketag import consumer as consumer_module
from voketag.consumer import ATTEMPTS, BURIALS_IN_A_ROW, LEASE_MS, BadDeploy, Consumer, Loop
from voketag.errors import Fenced, Rejected, Unavailable
from voketag.redis_connection import Command
from voketag.streams import Entry, Streams, add, owner_key

STREAM, GROUP, OUT = "scans:{0}", "score", "scored:{0}"
Handle = Callable[[Sequence[Entry]], Awaitable[Sequence[Command]]]


def number(entry: Entry) -> int:
    """The number an entry of these tests carries."""
    return int((entry.fields or {})["n"])


class Worker:
    """Passes entries on to OUT, after `trouble` has had its say about each batch."""

    def __init__(self, trouble: Callable[[list[int]], None] | None = None) -> None:
        self.trouble = trouble or (lambda _: None)
        self.batches: list[list[int]] = []

    async def handle(self, entries: Sequence[Entry]) -> Sequence[Command]:
        numbers = [number(entry) for entry in entries]
        self.batches.append(numbers)
        self.trouble(numbers)
        return [add(OUT, entry.fields or {}) for entry in entries]


@contextlib.asynccontextmanager
async def process(url: str, boot_id: str, consumer: Consumer) -> AsyncIterator[Loop]:
    """One consumer process; stopped gracefully at the end unless it has ended by itself."""
    streams = Streams(url, boot_id)
    loop = Loop(consumer, streams)
    task = asyncio.create_task(loop.run())
    try:
        yield loop
        loop.stop()
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await streams.close()


def consumer_of(handle: Handle, *streams: str, **more: Any) -> Consumer:
    return Consumer(GROUP, streams or (STREAM,), handle, **more)


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as opened:
        yield opened


async def publish(client: Redis, numbers: range, stream: str = STREAM) -> None:
    for n in numbers:
        await client.xadd(stream, {"n": n})


async def passed_on(client: Redis, stream: str = OUT) -> list[int]:
    entries: Any = await client.xrange(stream)
    return [int(fields[b"n"]) for _, fields in entries]


async def until_passed_on(client: Redis, count: int) -> None:
    async def enough() -> bool:
        return await client.xlen(OUT) >= count

    await until(enough, f"{count} entries passed on")


async def until_idle(client: Redis, stream: str = STREAM) -> None:
    """Wait until the group has finished all there is."""

    async def idle() -> bool:
        groups: Any = await client.xinfo_groups(stream) if await client.exists(stream) else []
        return any(g["lag"] == 0 and g["pending"] == 0 for g in groups)

    await until(idle, "everything acknowledged")


# ---------------------------------------------------------------------- the good path


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


# ---------------------------------------------------------------------- crashes


async def test_f10_f11_what_a_killed_owner_had_in_hand_is_handled_by_the_next(
    redis_url: str, client: Redis
) -> None:
    """The dead process leaves what a SIGKILL leaves: its lease and entries read but not done."""
    assert LEASE_MS / 1000 + consumer_module.RENEW_EVERY_S < 5  # back to work within 5 s
    dead = Streams(redis_url, "dead")
    await dead.ensure_group(STREAM, GROUP)
    await publish(client, range(10))
    await dead.beat(GROUP, LEASE_MS, 0)
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
        await client.set(owner_key(STREAM, GROUP), "quick", px=60_000)
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


# ---------------------------------------------------------------------- poison


async def test_f25_poison_is_buried_alone_and_the_rest_goes_through(
    redis_url: str, client: Redis
) -> None:
    def refuse_seven(numbers: list[int]) -> None:
        if 7 in numbers:
            raise Rejected("seven is not accepted")

    told: list[tuple[str, str]] = []

    async def buried(entry: Entry, reason: str) -> None:
        told.append((entry.entry_id, reason))

    await publish(client, range(20))
    consumer = consumer_of(Worker(refuse_seven).handle, buried=buried)
    async with process(redis_url, "a", consumer):
        await until_passed_on(client, 19)
        await until_idle(client)
    assert await passed_on(client) == [n for n in range(20) if n != 7]
    entries: Any = await client.xrange(STREAM + ":dead")
    ((_, dead),) = entries
    assert dead[b"n"] == b"7"
    assert dead[b"dead_error"] == b"Rejected: seven is not accepted"
    assert dead[b"dead_attempts"] == b"1"
    assert told == [(dead[b"dead_id"].decode(), "Rejected: seven is not accepted")]


async def test_a_bug_is_given_some_attempts_and_then_buried(redis_url: str, client: Redis) -> None:
    attempts: Counter[int] = Counter()

    def stumble(numbers: list[int]) -> None:
        attempts.update(numbers)
        if 1 in numbers and (len(numbers) > 1 or attempts[1] < 4):
            raise ValueError("passes by itself")
        if 2 in numbers:
            raise KeyError("never passes")

    await publish(client, range(4))
    async with process(redis_url, "a", consumer_of(Worker(stumble).handle)):
        await until_passed_on(client, 3)
        await until_idle(client)
    assert await passed_on(client) == [0, 1, 3]
    assert await passed_on(client, STREAM + ":dead") == [2]
    assert attempts[2] == 1 + ATTEMPTS  # once in the batch


async def test_f27_nothing_but_burials_stops_the_process(redis_url: str, client: Redis) -> None:
    def refuse(_: list[int]) -> None:
        raise Rejected("a bad deploy")

    await publish(client, range(3 * BURIALS_IN_A_ROW))
    streams = Streams(redis_url, "a")
    with pytest.raises(BadDeploy):
        await Loop(consumer_of(Worker(refuse).handle), streams).run()
    await streams.close()
    assert await client.xlen(STREAM + ":dead") == BURIALS_IN_A_ROW
    worker = Worker()
    async with process(redis_url, "mended", consumer_of(worker.handle)):
        await until_passed_on(client, 2 * BURIALS_IN_A_ROW)
    assert await passed_on(client) == list(range(BURIALS_IN_A_ROW, 3 * BURIALS_IN_A_ROW))


async def test_f27_a_success_in_between_starts_the_count_anew(
    redis_url: str, client: Redis
) -> None:
    def refuse_most(numbers: list[int]) -> None:
        if any(n % BURIALS_IN_A_ROW for n in numbers):
            raise Rejected("odd one out")

    count = 3 * BURIALS_IN_A_ROW
    await publish(client, range(count))
    async with process(redis_url, "a", consumer_of(Worker(refuse_most).handle)):
        await until_idle(client)
    assert await client.xlen(STREAM + ":dead") == count - 3


async def test_f14_entries_lost_while_pending_do_not_hold_up_the_others(
    redis_url: str, client: Redis
) -> None:
    dead = Streams(redis_url, "dead")
    await dead.ensure_group(STREAM, GROUP)
    await publish(client, range(3))
    await dead.read(STREAM, GROUP, pending=False, count=3)
    await dead.close()
    entries: Any = await client.xrange(STREAM)
    await client.xdel(STREAM, entries[1][0])
    async with process(redis_url, "a", consumer_of(Worker().handle)):
        await until_passed_on(client, 2)
        await until_idle(client)
    assert await passed_on(client) == [0, 2]


# ---------------------------------------------------------------------- outages


async def test_f29_while_a_server_is_away_nothing_is_buried_or_counted(
    redis_url: str, client: Redis
) -> None:
    away, calls = True, 0

    def outage(_: list[int]) -> None:
        nonlocal calls
        calls += 1
        if away:
            raise Unavailable("postgres: connection refused")

    async def tried_often() -> bool:
        return calls > ATTEMPTS + 1

    await publish(client, range(20))
    async with process(redis_url, "a", consumer_of(Worker(outage).handle)):
        await until(tried_often, "more tries than a bug is given")
        assert await client.exists(STREAM + ":dead", OUT) == 0
        away = False
        await until_passed_on(client, 20)
    assert await passed_on(client) == list(range(20))


async def test_f29_the_loop_resumes_by_itself_after_redis_was_away(
    servers: Servers, redis_url: str, client: Redis
) -> None:
    await publish(client, range(5))
    async with process(redis_url, "a", consumer_of(Worker().handle)):
        await until_passed_on(client, 5)
        await servers.stop("redis")
        await servers.start("redis")
        await client.connection_pool.disconnect()
        await publish(client, range(5, 10))
        await until_passed_on(client, 10)
    assert await passed_on(client) == list(range(10))


async def test_f20_streams_groups_and_leases_come_back_after_flushall(
    redis_url: str, client: Redis
) -> None:
    await publish(client, range(3))
    async with process(redis_url, "a", consumer_of(Worker().handle)):
        await until_passed_on(client, 3)
        await client.flushall()
        await publish(client, range(3, 6))
        await until_passed_on(client, 3)
        await until_idle(client)
    assert await passed_on(client) == [3, 4, 5]


# ---------------------------------------------------------------------- sharing


async def owners(client: Redis, streams: Sequence[str]) -> dict[str, str]:
    held: Any = await client.mget([owner_key(stream, GROUP) for stream in streams])
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
        flowing.cancel()
        await asyncio.gather(flowing, return_exceptions=True)


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


# ---------------------------------------------------------------------- stopping


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
