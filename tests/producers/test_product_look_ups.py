"""Look-ups of many products at once: shared by those who wait, and each given its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from producers.product_look_ups import MOST, ProductLookUps
from tests.factory_floor import settings_for, store_product
from tests.scored_scans import scored
from voketag import identifiers, process
from voketag.process import Wires
from voketag.records import scans
from voketag.redis.intake import Found


@pytest.fixture
async def wires(redis_url: str, database_url: str) -> AsyncIterator[Wires]:
    settings = settings_for(redis_url, database_url, SHARDS="1")
    async with process.open_wires(settings, database=True) as opened:
        yield opened


async def test_each_gets_its_own_product_and_history(wires: Wires) -> None:
    products = [await store_product(wires) for _ in range(3)]
    async with wires.database.transaction() as connection:
        twice = [msgspec.structs.replace(scored(0), product=products[0]) for _ in range(2)]
        await scans.store(connection, twice)
    wanted = [product.product_id for product in products] * 100
    unknown = [identifiers.product_id(identifiers.new_id(), 0) for _ in range(2 * MOST)]
    look_ups = ProductLookUps(wires)
    found = await asyncio.gather(*(look_ups.find(key) for key in wanted + unknown))
    await look_ups.close()
    assert [one.product for one in found] == products * 100 + [None] * len(unknown)
    history = found[0].history
    assert history is not None
    assert history.scans == 2
    assert found[297].history == history
    assert found[1] == Found(products[1], None)


async def test_who_goes_away_leaves_the_others_their_answer(wires: Wires) -> None:
    product = await store_product(wires)
    look_ups = ProductLookUps(wires)
    gone, stays = (asyncio.create_task(look_ups.find(product.product_id)) for _ in range(2))
    await asyncio.sleep(0)  # both wait now
    gone.cancel()
    assert (await stays).product == product
    await look_ups.close()
