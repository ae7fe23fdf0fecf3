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
from tests.chain_proxy import ChainProxy, chain_proxy
from tests.servers import eventually
from voketag import events, metrics
from voketag.consumer import Loop
from voketag.events import Notice, RootReady
from voketag.identifiers import new_id
from voketag.process import Wires, open_wires
from voketag.records import anchor_blocks, batches
from voketag.redis import batch_cache

URL_KEY = "3f9c0d7b5e-the-key-of-our-account"


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
async def proxy(chain_url: str) -> AsyncIterator[ChainProxy]:
    async with chain_proxy(chain_url) as opened:
        yield opened


@pytest.fixture
async def running(
    database_url: str, chain_url: str, redis_url: str, proxy: ChainProxy
) -> AsyncIterator[Running]:
    given = settings_for(database_url, f"{proxy.url}/v2/{URL_KEY}")
    configured = dataclasses.replace(given, redis_url=redis_url)
    async with open_wires(configured, database=True, chain=True) as wires:
        loop = Loop(anchor.build(wires), wires.streams)
        task = asyncio.create_task(loop.run())
        direct = dataclasses.replace(configured, chain_url=chain_url)
        yield Running(World(wires.database, wires.chain, direct), wires)
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


async def test_f43_a_silent_chain_keeps_back_no_notice_of_what_is_final(
    running: Running, proxy: ChainProxy
) -> None:
    batch_id = await running.world.batch(b"\x0c" * 32, queued=False)
    await running.root_ready(batch_id, b"\x0c" * 32)
    await eventually(lambda: _announced(running))
    proxy.spoil("500")
    # As after a crash between the commit and the notice.
    await running.world.fetchval("UPDATE batches SET announced_at = NULL")
    await eventually(lambda: _noticed(running, 2))
    first, second = await running.notices()
    assert first == second


async def test_f41_the_cache_forgets_a_batch_whose_anchor_vanished(
    running: Running, proxy: ChainProxy
) -> None:
    batch_id = await running.world.batch(b"\x0d" * 32, queued=False)
    await running.root_ready(batch_id, b"\x0d" * 32)
    await eventually(lambda: _completed(running, batch_id))
    redis = running.wires.streams.redis
    factory_id = await running.world.fetchval("SELECT factory_id FROM batches")
    assert isinstance(factory_id, UUID)
    async with running.wires.database.connection() as connection:
        shown = await batches.view(connection, factory_id, batch_id)
    assert shown is not None
    await batch_cache.offer(redis, shown)
    assert await batch_cache.get(redis, batch_id) == shown
    proxy.spoil("500", "eth_sendRawTransaction")  # it stays away for a while
    await running.world.rpc("anvil_reorg", 1, [])
    await eventually(lambda: _forgotten(running, batch_id))
    await batch_cache.offer(redis, shown)  # by a reader that had read it before
    assert await batch_cache.get(redis, batch_id) is None
    await eventually(lambda: _orphaned(running))
    proxy.behave()
    await eventually(lambda: _completed(running, batch_id))
    await running.world.check_all_final(batch_id)


async def test_the_key_in_the_chains_url_is_in_no_log_metric_or_row(
    running: Running, proxy: ChainProxy, capsys: pytest.CaptureFixture[str]
) -> None:
    batch_id = await running.world.batch(b"\x0e" * 32, queued=False)
    await running.root_ready(batch_id, b"\x0e" * 32)
    await eventually(lambda: _completed(running, batch_id))
    later = await running.world.batch(b"\x0f" * 32, queued=False)
    proxy.spoil("its key repeated", "eth_sendRawTransaction")
    await running.root_ready(later, b"\x0f" * 32)
    await eventually(lambda: _refused(running))
    proxy.spoil("its key repeated", "eth_chainId")
    before = proxy.asked["eth_chainId"]
    await eventually(lambda: proxy.asked["eth_chainId"] > before + 1)
    told = capsys.readouterr().out
    assert "[withheld]" in told
    assert URL_KEY not in told
    assert URL_KEY not in metrics.snapshot().decode()
    error = await running.world.fetchval("SELECT error FROM anchor_transactions WHERE error <> ''")
    assert URL_KEY not in str(error)


async def _announced(running: Running) -> bool:
    return await running.world.fetchval("SELECT announced_at IS NOT NULL FROM batches") is True


async def _refused(running: Running) -> bool:
    query = "SELECT count(*) FROM anchor_transactions WHERE error IS NOT NULL"
    return await running.world.fetchval(query) == 1


async def _orphaned(running: Running) -> bool:
    return await running.world.statuses() == ["orphaned"]


async def _forgotten(running: Running, batch_id: UUID) -> bool:
    return await batch_cache.get(running.wires.streams.redis, batch_id) is None


async def _completed(running: Running, batch_id: UUID) -> bool:
    status = await running.world.fetchval("SELECT status FROM batches WHERE batch_id=$1", batch_id)
    return status == "completed"


async def _noticed(running: Running, count: int) -> bool:
    return len(await running.notices()) == count


async def _dead(running: Running, count: int) -> bool:
    return await running.dead() == count
