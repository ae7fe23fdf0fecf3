"""Pipelines that many share: how large they grow, and how much waits for them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.cutting_proxy import cutting_proxy
from tests.replica import replica_of
from tests.servers import Servers
from voketag.errors import Overloaded, Unavailable
from voketag.redis.connection import connect
from voketag.redis.shared_pipeline import (
    MANY_CALLS,
    MAX_BYTES,
    MAX_CALLS,
    MAX_WAITING,
    SharedPipeline,
)

LENGTH = b"redis.call('SET', KEYS[1], #ARGV[1]) return #ARGV[1]"


async def waits(redis: Redis) -> int:
    """How often WAIT was called: each pipeline ends with one."""
    stats = await redis.info("commandstats")
    return int(stats.get("cmdstat_wait", {"calls": 0})["calls"])


@pytest.mark.parametrize(
    ("calls", "size", "pipelines"),
    [(2 * MAX_CALLS + 1, 10, 3), (8, MAX_BYTES // 3 - 100, 3), (3, MAX_BYTES + 1, 3), (9, 10, 1)],
)
async def test_f8_a_pipeline_is_bounded_by_count_and_by_bytes(
    redis_url: str, tmp_path: Path, calls: int, size: int, pipelines: int
) -> None:
    async with connect(redis_url) as redis, replica_of(redis_url, tmp_path):
        shared = SharedPipeline(redis, LENGTH, 1, 1)
        await shared.call(["key", b"first"])
        before = await waits(redis)
        replies = await asyncio.gather(*(shared.call(["key", b"x" * size]) for _ in range(calls)))
        assert replies == [size] * calls
        assert await waits(redis) - before == pipelines


async def test_f8_what_waits_is_bounded_and_what_waited_is_done(redis_url: str) -> None:
    async with connect(redis_url) as redis:
        shared = SharedPipeline(redis, LENGTH, 1, 0)
        calls = [shared.call(["key", b"x"]) for _ in range(MAX_WAITING)]
        with pytest.raises(Overloaded):
            shared.call(["key", b"x"])
        assert await asyncio.gather(*calls) == [1] * MAX_WAITING
        assert await shared.call(["key", b"xx"]) == 2
        await shared.close()


async def test_f7_an_error_in_the_middle_is_its_callers_alone(redis_url: str) -> None:
    script = b"if ARGV[1] == 'no' then return redis.error_reply('ERR no') end return KEYS[1]"
    async with connect(redis_url) as redis:
        shared = SharedPipeline(redis, script, 1, 0)
        calls = [shared.call([f"key{n}", "no" if n == 1 else "yes"]) for n in range(3)]
        told = await asyncio.gather(*calls, return_exceptions=True)
        assert (told[0], str(told[1]), told[2]) == (b"key0", "ERR no", b"key2")
        await shared.close()


async def test_f7_replies_come_whole_however_they_are_cut(redis_url: str) -> None:
    async with connect(redis_url) as redis:
        shared = SharedPipeline(redis, b"return ARGV[1]", 1, 0)
        sent = [b"%d" % n * (1 << 12) for n in range(300)]
        assert await asyncio.gather(*(shared.call(["key", text]) for text in sent)) == sent
        await shared.close()


async def test_a_script_that_the_server_has_forgotten_is_loaded_again(redis_url: str) -> None:
    async with connect(redis_url) as redis:
        shared = SharedPipeline(redis, LENGTH, 1, 0)
        assert await shared.call(["key", b"x"]) == 1
        await redis.script_flush()
        replies = await asyncio.gather(*(shared.call(["key", b"x" * n]) for n in range(600)))
        assert replies == list(range(600))  # each once, and each its own
        await shared.close()


async def test_a_call_waits_for_many_others_and_not_for_a_few(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that falls silent takes with it those that went, and none that waited."""
    monkeypatch.setattr("voketag.redis.exchange.COMMAND_TIMEOUT_S", 1.0)
    async with cutting_proxy(redis_url) as (proxy, url), connect(url) as redis:
        shared = SharedPipeline(redis, b"return 1", 1, 0)
        assert await shared.call(["key"]) == 1
        proxy.freeze()
        called = []
        for _ in range(MANY_CALLS + 3):
            called.append(shared.call(["key"]))
            await asyncio.sleep(0)  # each in a turn of the loop of its own
        told = await asyncio.gather(*called, return_exceptions=True)
        assert all(isinstance(one, Unavailable) for one in told[:MANY_CALLS])
        assert told[MANY_CALLS:] == [1, 1, 1]
        await shared.close()


@pytest.mark.parametrize("turns", [1, 3])
async def test_what_is_under_way_when_the_script_is_forgotten_happens_once(
    redis_url: str, turns: int
) -> None:
    async with connect(redis_url) as redis:
        shared = SharedPipeline(redis, b"return redis.call('INCR', KEYS[1])", 1, 0)
        assert await shared.call(["key"]) == 1
        await redis.script_flush()
        called = []
        for _ in range(40):
            called.append(shared.call(["key"]))
            if len(called) % turns == 0:
                await asyncio.sleep(0)
        assert sorted(await asyncio.gather(*called)) == list(range(2, 42))
        await shared.close()


async def test_f5_a_connection_that_ends_takes_its_calls_with_it_and_no_others(
    redis_url: str,
) -> None:
    async with connect(redis_url) as redis:
        shared = SharedPipeline(redis, b"return redis.call('INCR', KEYS[1])", 1, 0)
        assert await shared.call(["key"]) == 1
        await redis.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")  # type: ignore[no-untyped-call]
        lost = [shared.call(["key"]) for _ in range(3)]
        await asyncio.sleep(0)
        await redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # type: ignore[no-untyped-call]
        for told in await asyncio.gather(*lost, return_exceptions=True):
            assert isinstance(told, Unavailable)
        await redis.execute_command("CLIENT", "UNPAUSE")  # type: ignore[no-untyped-call]
        assert await shared.call(["key"]) in range(2, 6)
        await shared.close()


async def test_f23_a_server_that_says_nothing_is_given_up(
    redis_url: str, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voketag.redis.exchange.COMMAND_TIMEOUT_S", 0.2)
    async with connect(redis_url) as redis:
        shared = SharedPipeline(redis, b"return 1", 1, 0)
        await shared.call(["key"])
        await redis.execute_command("CLIENT", "PAUSE", 1000, "ALL")  # type: ignore[no-untyped-call]
        with pytest.raises(Unavailable, match="no answer within"):
            await shared.call(["key"])
        await servers.whole_again()
        await shared.close()


async def test_where_there_is_no_server_whoever_waits_hears_of_it() -> None:
    async with connect("redis://127.0.0.1:1/0") as redis:
        shared = SharedPipeline(redis, b"return 1", 1, 0)
        for _ in range(2):  # each time anew
            told = await asyncio.gather(
                *(shared.call(["key"]) for _ in range(3)), return_exceptions=True
            )
            assert all(isinstance(one, Unavailable) for one in told)
        await shared.close()


async def test_a_caller_that_has_gone_is_no_ones_trouble(redis_url: str) -> None:
    async with connect(redis_url) as redis:
        shared = SharedPipeline(redis, b"return redis.call('INCR', KEYS[1])", 1, 0)
        gone, stays = shared.call(["key"]), shared.call(["key"])
        gone.cancel()
        assert await stays == 2
        await shared.close()
