"""The anchor consumer: roots in, completed batches and their notices out."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from consumers import anchor
from tests.anchoring import World, settings_for
from tests.servers import eventually
from voketag import events
from voketag.consumer import Loop
from voketag.events import Notice, RootReady
from voketag.identifiers import new_id
from voketag.process import Wires, open_wires
from voketag.records import anchor_blocks


class Running:
    """The consumer's loop, running on real servers."""

    def __init__(self, world: World, wires: Wires) -> None:
        self.world = world
        self.wires = wires

    async def root_ready(self, batch_id: UUID, root: bytes) -> None:
        event = RootReady(batch_id, "0x" + root.hex())
        await self.wires.streams.publish(events.ROOTS, events.encode(event))

    async def notices(self) -> list[Notice]:
        entries: Any = await self.wires.streams.redis.xrange(events.NOTICES)
        return [
            events.decode({name.decode(): value for name, value in fields.items()}, Notice)
            for _, fields in entries
        ]

    async def dead(self) -> int:
        return int(await self.wires.streams.redis.xlen(events.ROOTS + events.DEAD_SUFFIX))


@pytest.fixture
async def running(database_url: str, chain_url: str, redis_url: str) -> AsyncIterator[Running]:
    configured = dataclasses.replace(settings_for(database_url, chain_url), redis_url=redis_url)
    async with open_wires(configured, database=True, chain=True) as wires:
        loop = Loop(anchor.build(wires), wires.streams)
        task = asyncio.create_task(loop.run())
        yield Running(World(wires.database, wires.chain, configured), wires)
        loop.stop()
        await task


async def test_a_root_becomes_a_completed_batch_and_one_notice(running: Running) -> None:
    root = bytes(range(32))
    batch_id = await running.world.batch(root, queued=False)
    await running.root_ready(batch_id, root)
    await eventually(lambda: _completed(running, batch_id))
    await eventually(lambda: _noticed(running, 1))
    await running.world.check_all_final(batch_id)
    (notice,) = await running.notices()
    assert (notice.kind, notice.batch_id) == ("batch.completed", batch_id)
    assert notice.detail["product_count"] == 1
    record = await running.world.record(batch_id)
    assert record.tx_hash is not None
    assert notice.detail["tx_hash"] == "0x" + record.tx_hash.hex()


async def test_from_root_to_completed_takes_well_under_a_second(running: Running) -> None:
    """Without a window, on a chain that makes a block for each transaction."""
    warm = await running.world.batch(b"\x01" * 32, queued=False)
    await running.root_ready(warm, b"\x01" * 32)
    await eventually(lambda: _completed(running, warm))
    batch_id = await running.world.batch(b"\x02" * 32, queued=False)
    started = time.monotonic()
    await running.root_ready(batch_id, b"\x02" * 32)
    await eventually(lambda: _completed(running, batch_id))
    assert time.monotonic() - started < 1.0


async def test_a_root_delivered_again_is_anchored_once(running: Running) -> None:
    root = b"\x05" * 32
    batch_id = await running.world.batch(root, queued=False)
    for _ in range(3):
        await running.root_ready(batch_id, root)
    await eventually(lambda: _completed(running, batch_id))
    await eventually(lambda: _noticed(running, 1))
    await running.root_ready(batch_id, root)
    other = await running.world.batch(b"\x06" * 32, queued=False)
    await running.root_ready(other, b"\x06" * 32)
    await eventually(lambda: _completed(running, other))
    await eventually(lambda: _noticed(running, 2))
    await running.world.check_all_final(batch_id, other)
    assert await running.dead() == 0


async def test_roots_that_cannot_be_queued_are_buried_and_the_others_are_not(
    running: Running,
) -> None:
    good = await running.world.batch(b"\x09" * 32, queued=False)
    await running.root_ready(new_id(), b"\x08" * 32)  # no such batch
    await running.root_ready(good, b"\x09" * 32)
    await running.root_ready(good, b"\x0a" * 32)  # another root for the same batch
    event = RootReady(good, "0x1234")
    await running.wires.streams.publish(events.ROOTS, events.encode(event))
    await running.wires.streams.publish(events.ROOTS, {"v": b"1", "event": b"{"})
    await eventually(lambda: _completed(running, good))
    await eventually(lambda: _dead(running, 4))
    await running.world.check_all_final(good)


async def test_a_notice_whose_record_was_lost_is_published_again_under_its_id(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = anchor_blocks.mark_announced
    lost = asyncio.Event()

    async def lose(*_: object) -> None:
        lost.set()
        monkeypatch.setattr(anchor_blocks, "mark_announced", honest)
        raise ConnectionResetError("cut off")

    monkeypatch.setattr(anchor_blocks, "mark_announced", lose)
    batch_id = await running.world.batch(b"\x0b" * 32, queued=False)
    await running.root_ready(batch_id, b"\x0b" * 32)
    await asyncio.wait_for(lost.wait(), 10)
    await eventually(lambda: _noticed(running, 2))
    first, second = await running.notices()
    assert first == second


async def _completed(running: Running, batch_id: UUID) -> bool:
    status = await running.world.fetchval("SELECT status FROM batches WHERE batch_id=$1", batch_id)
    return status == "completed"


async def _noticed(running: Running, count: int) -> bool:
    return len(await running.notices()) == count


async def _dead(running: Running, count: int) -> bool:
    return await running.dead() == count
