"""Stream entries of some age, for tests of what happens to them."""

from __future__ import annotations

import time
from typing import Any

from redis.asyncio import Redis

from consumers.maintain import KEPT_MS
from voketag import events

OLD_MS = 2 * KEPT_MS
STREAM, GROUPS = events.scans(0), ("score",)


async def add_old(client: Redis, stream: str, count: int, age_ms: int = OLD_MS) -> list[str]:
    """Entries that are `age_ms` old."""
    at_ms = time.time_ns() // 1_000_000 - age_ms
    ids = [f"{at_ms + n}-0" for n in range(count)]
    for entry_id in ids:
        await client.xadd(stream, {"n": entry_id}, id=entry_id)
    return ids


async def ids_in(client: Redis, stream: str) -> list[str]:
    entries: Any = await client.xrange(stream)
    return [entry_id.decode() for entry_id, _ in entries]


async def deliver(client: Redis, stream: str, group: str, count: int) -> None:
    await client.xreadgroup(group, group, {stream: ">"}, count=count)
