"""The loop on a real Redis amid trouble: poison, bugs, outages."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.consuming import (
    GROUP,
    OUT,
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
from tests.servers import Servers
from voketag.consumer import ATTEMPTS, BURIALS_IN_A_ROW, BadDeploy, Loop
from voketag.errors import Rejected, Unavailable
from voketag.redis.streams import Entry, Streams


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as opened:
        yield opened


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
