"""The one round trip of a scan: what it keeps, and what a caller is told where it fails."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from tests.factory_floor import settings_for
from voketag import events, identifiers, process
from voketag.acceptance import Accepted
from voketag.errors import Unavailable
from voketag.events import Product, Scan
from voketag.process import Wires
from voketag.redis import intake
from voketag.redis.intake import Found

TAIL = 64  # as intake.lua says


@pytest.fixture
async def wires(redis_url: str) -> AsyncIterator[Wires]:
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    async with process.open_wires(settings_for(redis_url, nowhere, SHARDS="1")) as opened:
        yield opened


def a_product() -> Product:
    batch_id = identifiers.new_id()
    product_id = identifiers.product_id(batch_id, 0)
    return Product(product_id, batch_id, identifiers.new_id(), "SKU", "Name", "S1")


def a_scan(product_id: UUID, *, named: bool = False) -> Scan:
    now_ms = time.time_ns() // 1_000_000
    return Scan(identifiers.new_id(), product_id, now_ms, "0a" * 16, "0b" * 16, named=named)


async def test_what_waits_for_its_score_stays_bounded(wires: Wires) -> None:
    """With the score group down, a product that everybody scans fills no memory but its stream."""
    product = a_product()
    found = Found(product)
    for number in range(TAIL + 10):
        accepted = await wires.intake.offer(a_scan(product.product_id), found=found)
        assert isinstance(accepted, Accepted)
        assert accepted.history.scans == min(number, TAIL)
        found = None  # type: ignore[assignment]  # it is in the cache now
    redis = wires.streams.redis
    assert await redis.llen(intake.tail_key(intake.product_tag(0, product.product_id))) == TAIL
    assert await redis.xlen(events.scans(0)) == TAIL + 10


async def test_every_key_of_a_scan_but_the_stream_ends(wires: Wires) -> None:
    product = a_product()
    await wires.intake.offer(a_scan(product.product_id, named=True), Found(product))
    redis = wires.streams.redis
    for_ever = {key async for key in redis.scan_iter() if await redis.ttl(key) == -1}
    assert for_ever == {events.scans(0).encode()}


async def test_f6_a_redis_that_takes_no_writes_is_said_to_be_away(wires: Wires) -> None:
    redis = wires.streams.redis
    await redis.config_set("min-replicas-to-write", 1)
    try:
        with pytest.raises(Unavailable):
            await wires.intake.offer(a_scan(identifiers.new_id()), Found(None))
        with pytest.raises(Unavailable):
            await wires.intake.note_probes({"0a": 1})
    finally:
        await redis.config_set("min-replicas-to-write", 0)
