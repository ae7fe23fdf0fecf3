"""The most scanned products of a day, per shard, kept by whoever scores the shard.

Space-Saving (Metwally, Agrawal, El Abbadi 2005): the most frequent of any number of products in a
bounded set; a newcomer takes the place, and the count, of the least. A product with more than one
in PLACES of its shard's scans is certain to be there.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from redis.asyncio import Redis

from voketag.redis.connection import Command, redis_errors

PLACES = 1000
TTL_S = 3 * 86_400


def top_key(shard: int, day: str) -> str:
    """The sorted set of a UTC day's most scanned products, by the hexadecimal of their ids."""
    return f"top:{{{shard}}}:{day}"


@dataclass(frozen=True)
class Standing:
    """A day's set as far as it matters to some products: the counts of those that have a place, how
    many places are taken, and as many of the least as there are products.
    """

    counts: dict[UUID, float]
    taken: int
    least: list[tuple[UUID, float]]


async def standing(redis: Redis, key: str, product_ids: Sequence[UUID]) -> Standing:
    """How these products stand, in one round trip."""
    async with redis_errors(), redis.pipeline(transaction=False) as pipeline:
        pipeline.zmscore(key, [product_id.hex for product_id in product_ids])
        pipeline.zcard(key)
        pipeline.zrange(key, 0, len(product_ids) - 1, withscores=True)
        found: Any = await pipeline.execute()
    scores, taken, least = found
    counts = {
        product_id: score
        for product_id, score in zip(product_ids, scores, strict=True)
        if score is not None
    }
    return Standing(counts, taken, [(UUID(member.decode()), score) for member, score in least])


def counted(key: str, before: Standing, scanned: Counter[UUID]) -> list[Command]:
    """The commands that count these scans, for `Streams.complete`.

    The least of the whole set is always among what is known of it here: as many of the least were
    read as there are products, and each product moves one of them at most.
    """
    view = dict(before.least) | before.counts
    order = [(count, product_id) for product_id, count in view.items()]
    heapq.heapify(order)
    room = PLACES - before.taken
    gone: set[UUID] = set()
    for product_id, scans in scanned.items():
        if product_id in view:
            view[product_id] += scans
        elif room > 0:
            room -= 1
            view[product_id] = scans
        else:
            count, least = _least(order, view)
            del view[least]
            gone.add(least)
            view[product_id] = count + scans
        heapq.heappush(order, (view[product_id], product_id))
    leaving = [product_id.hex for product_id in gone if product_id not in view]
    places = [
        word
        for product_id in scanned
        if product_id in view
        for word in (view[product_id], product_id.hex)
    ]
    commands: list[Command] = [("ZREM", key, *leaving)] if leaving else []
    return [*commands, ("ZADD", key, *places), ("EXPIRE", key, TTL_S)]


def _least(order: list[tuple[float, UUID]], view: dict[UUID, float]) -> tuple[float, UUID]:
    """Take the least off the heap, past what has been counted or has left since."""
    while True:
        count, product_id = heapq.heappop(order)
        if view.get(product_id) == count:
            return count, product_id
