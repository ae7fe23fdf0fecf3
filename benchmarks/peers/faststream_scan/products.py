"""Product look-ups: this process' memory, then Redis, then Postgres."""

from __future__ import annotations

from typing import Any

import asyncpg
import orjson
from redis.asyncio import Redis

REMEMBERED = 50_000
CACHE_S = 3600
BY_TOKEN = "SELECT id, batch_id, sku, name, serial FROM products WHERE token = $1"


class Products:
    """What is shown of a product never changes, so that what was seen once can be kept."""

    def __init__(self, database: asyncpg.Pool, redis: Redis) -> None:
        self._database = database
        self._redis = redis
        self._known: dict[str, bytes] = {}

    async def find(self, token: str) -> bytes | None:
        """The product of a token, as JSON; None where there is none."""
        if (known := self._known.get(token)) is not None:
            return known
        cached: Any = await self._redis.get(f"product:{token}")
        found: bytes | None = cached or await self._look_up(token)
        if found is not None:
            if len(self._known) >= REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[token] = found
        return found

    async def _look_up(self, token: str) -> bytes | None:
        row = await self._database.fetchrow(BY_TOKEN, token)
        if row is None:
            return None
        product: bytes = orjson.dumps(
            {
                "product_id": str(row["id"]),
                "batch_id": str(row["batch_id"]),
                "sku": row["sku"],
                "name": row["name"],
                "serial": row["serial"],
                "manufactured_at": None,
            }
        )
        await self._redis.set(f"product:{token}", product, ex=CACHE_S)
        return product
