"""How the streams stand, on a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from voketag.redis.stream_status import Totals, read_totals
from voketag.redis.streams import Streams


@pytest.fixture
async def streams(redis_url: str) -> AsyncIterator[Streams]:
    opened = Streams(redis_url, "test")
    yield opened
    await opened.close()


async def test_totals_are_known_from_the_first_entry_on(streams: Streams) -> None:
    """Also beside a stream of which the group has read nothing, for there was nothing."""
    names = ["scored:{0}", "scored:{1}"]
    for name in names:
        await streams.ensure_group(name, "persist")
    assert await read_totals(streams.redis, names, "persist") == Totals(0, 0)
    for _ in range(3):
        await streams.publish(names[1], {"event": b"1"})
    assert await read_totals(streams.redis, names, "persist") == Totals(3, 0)
    assert await streams.own(names[1], "persist", 60_000)
    entries = await streams.read(names[1], "persist", pending=False, count=2)
    assert await read_totals(streams.redis, names, "persist") == Totals(3, 0)
    await streams.complete("persist", entries)
    assert await read_totals(streams.redis, names, "persist") == Totals(3, 2)
