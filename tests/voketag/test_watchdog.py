"""The watchdog in real processes: what it ends, and what it leaves alone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from tests.consumer_processes import ask, attempts, program
from tests.consuming import until_idle, until_passed_on
from voketag.watchdog import EXIT_STALLED


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as opened:
        yield opened


@pytest.mark.parametrize(
    ("do", "what"), [("await", ["scans:{0}"]), ("block", ["event loop", "scans:{0}"])]
)
async def test_f23_a_process_that_stalls_ends_and_its_restart_goes_on(
    redis_url: str, client: Redis, do: str, what: list[str]
) -> None:
    await ask(client, 0, do=do, s=3600)
    async with program(redis_url, STALL_S="1") as stalled:
        assert await stalled.ended() == EXIT_STALLED
    (said,) = [entry for entry in await stalled.logged() if entry["event"] == "no progress"]
    assert sorted(said["what"]) == what
    if do == "await":
        assert said["waits_at"]["scans:{0}"][-1].endswith(" sleep")
    assert "Current thread" in await stalled.error_output()
    async with program(redis_url):
        await until_passed_on(client, 1)
        await until_idle(client)
    assert await attempts(client) == {0: 2}


async def test_f23_one_that_never_lets_go_of_the_interpreter_ends_as_well(
    redis_url: str, client: Redis
) -> None:
    await ask(client, 0, do="hold")
    async with program(redis_url, STALL_S="1") as stalled:
        assert await stalled.ended() == 1
    assert " in do" in await stalled.error_output()


async def test_f23_f29_waiting_for_a_server_is_no_stall(redis_url: str, client: Redis) -> None:
    """The pauses between nine attempts add up to twice the time in which there is no progress."""
    await ask(client, 0, away=9)
    async with program(redis_url, STALL_S="3") as waiting:
        await until_passed_on(client, 1)
    assert waiting.running.returncode == 0
    assert await attempts(client) == {0: 9}
