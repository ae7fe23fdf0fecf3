"""Processes of tests/consumer_program.py, and what Redis knows of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Awaitable
from typing import Any, cast

from redis.asyncio import Redis

from tests.consumer_program import TRIED
from tests.consuming import GROUP, STREAM
from tests.factory_floor import until
from tests.voketag.test_process import environ_for, started
from voketag.redis.leases import owner_key

END_S = 20.0


class Program:
    """A running process, and what it has written."""

    def __init__(self, running: asyncio.subprocess.Process) -> None:
        assert running.stdout is not None
        assert running.stderr is not None
        self.running = running
        self._out = asyncio.create_task(running.stdout.read())
        self._error = asyncio.create_task(running.stderr.read())

    def send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.running.send_signal(number)

    async def ended(self) -> int:
        """Wait for its end; gives its status."""
        async with asyncio.timeout(END_S):
            return await self.running.wait()

    async def logged(self) -> list[dict[str, Any]]:
        """What an ended process has logged."""
        return [json.loads(line) for line in (await self._out).splitlines()]

    async def error_output(self) -> str:
        """What an ended process has written to its error output."""
        return (await self._error).decode()


@contextlib.asynccontextmanager
async def program(redis_url: str, **environ: str) -> AsyncIterator[Program]:
    """A process, asked to stop at the end."""
    settings = environ_for(redis_url, "postgresql://nobody@127.0.0.1:1/none")
    async with started(settings | environ, "-m", "tests.consumer_program") as (running, _):
        one = Program(running)
        try:
            yield one
            one.send(signal.SIGCONT)
            one.send(signal.SIGTERM)
            await one.ended()
        finally:
            one.send(signal.SIGKILL)
            await asyncio.gather(one.logged(), one.error_output(), return_exceptions=True)


async def ask(client: Redis, n: int, **fields: Any) -> None:
    """Publish an entry that says what to do."""
    values: dict[Any, Any] = {"n": n} | fields
    await client.xadd(STREAM, values)


async def lease(client: Redis) -> dict[bytes, bytes]:
    """The lease of the stream; empty where nobody has it."""
    return await cast(Awaitable[dict[bytes, bytes]], client.hgetall(owner_key(STREAM, GROUP)))


async def until_owned(client: Redis) -> bytes:
    """Wait for an owner of the stream; gives its boot id."""

    async def owned() -> bool:
        return bool(await lease(client))

    await until(owned, "an owner")
    return (await lease(client))[b"boot_id"]


async def until_alive(client: Redis, count: int) -> None:
    """Wait until so many processes of the group have a heartbeat."""

    async def alive() -> bool:
        return await client.zcard(f"members:{GROUP}") == count

    await until(alive, f"{count} processes alive")


async def until_tried(client: Redis, n: int) -> None:
    async def tried() -> bool:
        return n in await attempts(client)

    await until(tried, f"entry {n} tried")


async def attempts(client: Redis) -> dict[int, int]:
    """How often each entry was tried."""
    found = await cast(Awaitable[dict[bytes, bytes]], client.hgetall(TRIED))
    return {int(n): int(times) for n, times in found.items()}
