"""Real consumer processes that are slow, stopped and killed: who owns their stream, and what
becomes of what they had in hand.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from tests.consumer_processes import (
    ask,
    attempts,
    lease,
    program,
    until_alive,
    until_owned,
    until_tried,
)
from tests.consuming import (
    STREAM,
    Worker,
    consumer_of,
    passed_on,
    process,
    publish,
    until_idle,
    until_passed_on,
)
from tests.cutting_proxy import cutting_proxy
from tests.factory_floor import until

BACK_AT_WORK_S = 5.0  # promised, after a kill -9


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as opened:
        yield opened


@pytest.mark.parametrize("do", ["await", "block"])
async def test_f11_a_live_owner_is_never_robbed_however_slow_it_is(
    redis_url: str, client: Redis, do: str
) -> None:
    """Its handler takes four times the lease, while another process waits for the stream."""
    lease_ms, waiting = 3000, Worker()  # a busy machine may stop a process for a second
    async with program(redis_url, LEASE_MS=str(lease_ms)):
        slow = await until_owned(client)
        await ask(client, 0, do=do, s=4 * lease_ms / 1000)
        await until_tried(client, 0)
        eager = consumer_of(waiting.handle)
        async with process(redis_url, "eager", eager, lease_ms=lease_ms):
            await until_alive(client, 2)
            await until_passed_on(client, 1)
            assert (await lease(client))[b"boot_id"] == slow
    assert waiting.batches == []
    assert await attempts(client) == {0: 1}


async def test_f11_an_owner_that_stands_still_for_less_than_its_lease_keeps_it(
    redis_url: str, client: Redis
) -> None:
    lease_ms, waiting = 8000, Worker()

    async def half_gone() -> bool:
        seconds, microseconds = await client.time()
        left_ms = int((await lease(client))[b"until_ms"]) - seconds * 1000 - microseconds // 1000
        return left_ms < lease_ms / 2

    async with program(redis_url, LEASE_MS=str(lease_ms)) as slow:
        await until_owned(client)
        await ask(client, 0, do="await", s=0.2)
        await until_tried(client, 0)
        async with process(redis_url, "eager", consumer_of(waiting.handle), lease_ms=lease_ms):
            await until_alive(client, 2)
            slow.send(signal.SIGSTOP)
            await until(half_gone, "half of the lease has passed")
            slow.send(signal.SIGCONT)
            await until_passed_on(client, 1)
    assert waiting.batches == []
    assert await attempts(client) == {0: 1}


async def test_f11_f13_one_that_stood_still_for_longer_is_overtaken_and_then_fenced(
    redis_url: str, client: Redis
) -> None:
    worker = Worker()
    async with program(redis_url) as stopped:
        await until_owned(client)
        await ask(client, 0, do="await", s=0.5)
        await until_tried(client, 0)
        async with process(redis_url, "next", consumer_of(worker.handle)):
            await until_alive(client, 2)
            stopped.send(signal.SIGSTOP)
            began_s = time.monotonic()
            await until_passed_on(client, 1)
            assert time.monotonic() - began_s < BACK_AT_WORK_S
            stopped.send(signal.SIGCONT)
            await until_alive(client, 2)
            await publish(client, range(1, 3))
            await until_passed_on(client, 3)
            stopped.send(signal.SIGTERM)  # it finishes what it has in hand first
            assert await stopped.ended() == 0
    assert "overtaken" in {entry["event"] for entry in await stopped.logged()}
    assert await passed_on(client) == [0, 1, 2]
    assert worker.batches[0] == [0]
    assert await attempts(client) == {0: 1}


@pytest.mark.parametrize("by", ["another process", "its own restart"])
async def test_f10_f11_f12_after_a_kill_the_stream_is_taken_over_soon(
    redis_url: str, client: Redis, by: str
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        killed = await stack.enter_async_context(program(redis_url))
        await until_owned(client)
        if by == "another process":
            await stack.enter_async_context(program(redis_url))
            await until_alive(client, 2)
        await ask(client, 0)
        await ask(client, 1, do="await", s=3600)
        await until_tried(client, 1)
        victim = (await lease(client))[b"boot_id"]
        killed.send(signal.SIGKILL)
        await killed.ended()
        began_s = time.monotonic()
        if by == "its own restart":
            await stack.enter_async_context(program(redis_url))
        await publish(client, range(2, 4))
        await until_passed_on(client, 4)
        assert time.monotonic() - began_s < BACK_AT_WORK_S
        assert (await lease(client))[b"boot_id"] != victim
        await until_idle(client)
    assert await passed_on(client) == [0, 1, 2, 3]
    assert await client.exists(STREAM + ":dead") == 0


async def test_f23_half_open_connections_hold_nobody_up(redis_url: str, client: Redis) -> None:
    """The sockets stay open and nothing comes through them any more."""
    async with cutting_proxy(redis_url) as (proxy, url):
        await publish(client, range(5))
        async with process(url, "a", consumer_of(Worker().handle)):
            await until_passed_on(client, 5)
            assert proxy.freeze() >= 3
            await publish(client, range(5, 10))
            await until_passed_on(client, 10)
            await until_idle(client)
    assert await passed_on(client) == list(range(10))


async def test_a_process_that_cannot_reach_redis_still_stops(redis_url: str) -> None:
    async with cutting_proxy(redis_url) as (proxy, url):
        proxy.freezes_new = True
        async with process(url, "a", consumer_of(Worker().handle)) as loop:
            await asyncio.sleep(0)
            loop.stop()
