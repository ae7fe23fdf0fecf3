"""The most scanned products: what a bounded set of them promises."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any
from uuid import UUID, uuid4

import pytest

from voketag.redis import top_products
from voketag.redis.connection import connect

PLACES = 8
KEY = top_products.top_key(0, "2026-05-17")


@pytest.mark.parametrize("seed", range(5))
async def test_a_product_with_more_than_its_share_of_the_scans_has_a_place(
    redis_url: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(top_products, "PLACES", PLACES)
    chance = random.Random(seed)
    products = [uuid4() for _ in range(40)]
    weights = [1 / (1 + place) for place in range(len(products))]
    true: Counter[UUID] = Counter()
    async with connect(redis_url) as redis:
        for _ in range(60):
            batch = Counter(chance.choices(products, weights, k=chance.randrange(1, 30)))
            true += batch
            before = await top_products.standing(redis, KEY, list(batch))
            for command in top_products.counted(KEY, before, batch):
                await redis.execute_command(*command)  # type: ignore[no-untyped-call]
        found: Any = await redis.zrange(KEY, 0, -1, withscores=True)
        kept = {UUID(member.decode()): scans for member, scans in found}
        assert 0 < await redis.ttl(KEY) <= top_products.TTL_S
    assert len(kept) == PLACES
    assert all(kept[product] >= true[product] for product in kept)
    certain = {product for product, scans in true.items() if scans > true.total() / PLACES}
    assert certain
    assert certain <= set(kept)
    assert sum(kept.values()) == true.total()


async def test_counts_are_exact_while_there_is_room(redis_url: str) -> None:
    products = [uuid4() for _ in range(20)]
    async with connect(redis_url) as redis:
        for size in (20, 5):
            batch = Counter(products[:size])
            before = await top_products.standing(redis, KEY, list(batch))
            for command in top_products.counted(KEY, before, batch):
                await redis.execute_command(*command)  # type: ignore[no-untyped-call]
        found: Any = await redis.zrange(KEY, 0, -1, withscores=True)
    assert dict(found) == {
        product.hex.encode(): 2.0 if product in products[:5] else 1.0 for product in products
    }
