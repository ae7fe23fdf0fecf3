"""Trimming on a real Redis: only what everyone has finished goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from consumers.maintain import KEPT_MOST, KEPT_MS
from tests.factory_floor import settings_for
from tests.old_entries import add_old, deliver, ids_in
from voketag import events, process, topology
from voketag.process import Wires
from voketag.redis.trimming import trim

OLD_MS = 2 * KEPT_MS
STREAM, GROUPS = events.scans(0), ("score",)


@pytest.fixture
async def wires(redis_url: str) -> AsyncIterator[Wires]:
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    async with process.open_wires(settings_for(redis_url, nowhere)) as opened:
        yield opened


async def test_f15_only_what_every_registered_group_has_finished_is_trimmed(wires: Wires) -> None:
    client, groups = wires.streams.redis, ("score", "audit")
    ids = await add_old(client, STREAM, 10)
    for group in groups:
        await wires.streams.ensure_group(STREAM, group)
    assert await trim(client, STREAM, groups, KEPT_MS, KEPT_MOST) == 0
    await deliver(client, STREAM, "score", 8)
    await client.xack(STREAM, "score", *ids[:5], ids[6])
    assert await trim(client, STREAM, groups, KEPT_MS, KEPT_MOST) == 0  # audit has not begun
    await deliver(client, STREAM, "audit", 10)
    await client.xack(STREAM, "audit", *ids)
    assert await trim(client, STREAM, groups, KEPT_MS, KEPT_MOST) == 5
    assert await ids_in(client, STREAM) == ids[5:]  # the fifth is pending still
    await client.xack(STREAM, "score", ids[5], ids[7])
    assert await trim(client, STREAM, groups, KEPT_MS, KEPT_MOST) == 3
    assert await ids_in(client, STREAM) == ids[8:]  # not delivered to score yet


async def test_finished_entries_stay_for_a_while(wires: Wires) -> None:
    client = wires.streams.redis
    await add_old(client, STREAM, 3)
    young = await add_old(client, STREAM, 3, age_ms=KEPT_MS // 2)
    await wires.streams.ensure_group(STREAM, "score")
    await deliver(client, STREAM, "score", 6)
    await client.xack(STREAM, "score", *await ids_in(client, STREAM))
    assert await trim(client, STREAM, GROUPS, KEPT_MS, KEPT_MOST) == 3
    assert await ids_in(client, STREAM) == young


async def test_of_many_finished_entries_the_newest_stay(wires: Wires) -> None:
    client = wires.streams.redis
    for age_s in (40, 35, 10, 5):
        await add_old(client, STREAM, 1, age_ms=age_s * 1000)
    ids = await ids_in(client, STREAM)
    await wires.streams.ensure_group(STREAM, "score")
    await deliver(client, STREAM, "score", 3)
    await client.xack(STREAM, "score", ids[0])
    assert await trim(client, STREAM, GROUPS, KEPT_MS, 2) == 1
    assert await ids_in(client, STREAM) == ids[1:]  # the second is pending still
    await client.xack(STREAM, "score", *ids)
    assert await trim(client, STREAM, GROUPS, KEPT_MS, 2) == 1
    assert await ids_in(client, STREAM) == ids[2:]
    assert await trim(client, STREAM, GROUPS, KEPT_MS, 2) == 0


async def test_a_stream_that_lacks_a_registered_group_is_left_alone(wires: Wires) -> None:
    client = wires.streams.redis
    assert await trim(client, STREAM, GROUPS, KEPT_MS, KEPT_MOST) == 0  # there is no stream
    ids = await add_old(client, STREAM, 3)
    await wires.streams.ensure_group(STREAM, "stranger")
    await deliver(client, STREAM, "stranger", 3)
    await client.xack(STREAM, "stranger", *ids)
    assert await trim(client, STREAM, GROUPS, KEPT_MS, KEPT_MOST) is None
    assert await ids_in(client, STREAM) == ids
    with pytest.raises(ValueError, match="no registered group"):
        await trim(client, STREAM, (), KEPT_MS, KEPT_MOST)


async def test_f17_a_stranger_pins_nothing(wires: Wires) -> None:
    client = wires.streams.redis
    ids = await add_old(client, STREAM, 3)
    for group in ("score", "stranger"):
        await wires.streams.ensure_group(STREAM, group)
    await deliver(client, STREAM, "score", 3)
    await client.xack(STREAM, "score", *ids)
    assert await trim(client, STREAM, GROUPS, KEPT_MS, KEPT_MOST) == 3


async def test_f16_trimming_amid_deliveries_loses_nothing(wires: Wires) -> None:
    """Entries are read, finished and trimmed at once; each is delivered exactly once."""
    client = wires.streams.redis
    await wires.streams.ensure_group(STREAM, "score")
    ids = await add_old(client, STREAM, 1000)
    delivered: list[str] = []

    async def consume() -> None:
        while len(delivered) < len(ids):
            reply: Any = await client.xreadgroup("score", "score", {STREAM: ">"}, count=7)
            for _, entries in reply:
                found = [entry_id.decode() for entry_id, fields in entries if fields]
                delivered.extend(found)
                await client.xack(STREAM, "score", *found)

    consuming = asyncio.create_task(consume())
    while not consuming.done():
        await trim(client, STREAM, GROUPS, KEPT_MS, KEPT_MOST)
    await consuming
    assert delivered == ids
    await trim(client, STREAM, GROUPS, KEPT_MS, KEPT_MOST)
    assert await ids_in(client, STREAM) == []


async def test_every_stream_of_the_pipeline_has_its_registered_groups() -> None:
    assert list(topology.groups_of(3)) == events.all_streams(3)
    named = {group for groups in topology.groups_of(3).values() for group in groups}
    assert named | {"maintain"} == set(topology.CONSUMERS)
