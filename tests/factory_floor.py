"""What tests of the pipeline start from: settings, open wires, stored products, running loops."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

from voketag import identifiers, process
from voketag import settings as settings_module
from voketag.consumer import Consumer, Loop
from voketag.events import Product
from voketag.process import Wires
from voketag.settings import Settings

DEADLINE_S = 20.0


def settings_for(redis_url: str, database_url: str, **changed: str) -> Settings:
    """Settings of a test; `changed` are VOKETAG_ variables without their prefix."""
    environ = {
        "REDIS_URL": redis_url,
        "DATABASE_URL": database_url,
        "CHAIN_URL": "http://127.0.0.1:1",
        "ADMIN_KEY": "vta_TESTTESTTESTTESTTESTTESTTESTTEST",
        "TOKEN_KEYS": "1:" + "11" * 32,
        "HASH_KEY": "22" * 32,
        "SCAN_RATE_LIMIT": "0",
        "KEY_GUESS_LIMIT": "0",
    } | changed
    return settings_module.load({f"VOKETAG_{name}": value for name, value in environ.items()})


async def store_product(
    wires: Wires, *, destinations: tuple[str, ...] = (), recalled: bool = False
) -> Product:
    """A factory with a batch of one product, as register would have left it."""
    factory_id, batch_id = identifiers.new_id(), identifiers.new_id()
    product = Product(
        product_id=identifiers.product_id(batch_id, 0),
        batch_id=batch_id,
        factory_id=factory_id,
        sku="SHOE-42",
        name="Running shoe",
        serial="S1",
        manufactured_at="2026-11-01T00:00:00Z",
        destination_countries=destinations,
    )
    async with wires.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO factories (factory_id, name, email) VALUES ($1, 'F', $2)",
            factory_id,
            f"{factory_id}@example.com",
        )
        await connection.execute(
            "INSERT INTO batches (batch_id, factory_id, sku, name, product_count, serials_given, "
            "manufactured_at, destination_countries, token_key_id, status, created_at, "
            "recalled_at) VALUES ($1, $2, 'SHOE-42', 'Running shoe', 1, true, '2026-11-01Z', $3, "
            "1, 'processing', now(), CASE WHEN $4 THEN now() END)",
            batch_id,
            factory_id,
            list(destinations),
            recalled,
        )
        await connection.execute(
            "INSERT INTO products VALUES ($1, $2, 'S1')", product.product_id, batch_id
        )
    return product


def token_of(wires: Wires, product_id: UUID) -> str:
    """The genuine token of a product."""
    return wires.settings.token_keys.mint(product_id)


@contextlib.asynccontextmanager
async def running(wires: Wires, *consumers: Consumer) -> AsyncIterator[None]:
    """Run consumers, each on wires of its own as its process would have; then stop them."""
    async with contextlib.AsyncExitStack() as stack:
        loops, tasks = [], []
        for consumer in consumers:
            own = await stack.enter_async_context(process.open_wires(wires.settings))
            loops.append(Loop(consumer, own.streams))
            tasks.append(asyncio.create_task(loops[-1].run()))
        try:
            yield
        finally:
            for loop in loops:
                loop.stop()
            await asyncio.gather(*tasks)


async def until(
    condition: Callable[[], Awaitable[bool]], what: str, deadline_s: float = DEADLINE_S
) -> None:
    """Poll until `condition` holds; fails saying `what` did not happen in time."""
    ends = time.monotonic() + deadline_s
    while not await condition():
        assert time.monotonic() < ends, f"not within {deadline_s} s: {what}"
        await asyncio.sleep(0.01)
