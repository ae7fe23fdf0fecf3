"""Consumer processes for tests of the loop: what they do, and waiting for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from redis.asyncio import Redis

from tests.factory_floor import until
from voketag.consumer import Consumer, Loop
from voketag.ownership import LEASE_MS
from voketag.redis.connection import Command
from voketag.redis.streams import Entry, Streams, add
from voketag.tasks import end

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
async def process(
    url: str, boot_id: str, consumer: Consumer, *, lease_ms: int = LEASE_MS
) -> AsyncIterator[Loop]:
    """One consumer process; stopped gracefully at the end unless it has ended by itself."""
    streams = Streams(url, boot_id)
    loop = Loop(consumer, streams, lease_ms=lease_ms)
    task = asyncio.create_task(loop.run())
    try:
        yield loop
        loop.stop()
        await task
    finally:
        await end(task)
        await streams.close()


def consumer_of(handle: Handle, *streams: str, **more: Any) -> Consumer:
    return Consumer(GROUP, streams or (STREAM,), handle, **more)


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
