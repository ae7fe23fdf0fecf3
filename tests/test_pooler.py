"""Postgres behind PgBouncer in transaction mode: whoever comes next may get another connection, and
finds there what someone else left.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from consumers.maintain import Maintenance
from tests.factory_floor import settings_for
from tests.flow import completed, join, recorded
from tests.pgbouncer import pgbouncer
from tests.scored_scans import rebuilt_history, rows, scored, statistics_hold
from tests.servers import database_named
from tests.system import System
from voketag import process
from voketag.process import Wires
from voketag.records import migrations, scans
from voketag.records.database import Database

POOL_SIZE = 2
# What PgBouncer sets on a connection for its clients; and jit, which asyncpg turns off while it
# looks a type up, and on again: on another connection, perhaps, where it makes no difference.
SET_BY_OTHERS = {"client_encoding", "DateStyle", "TimeZone", "standard_conforming_strings", "jit"}


@pytest.fixture
async def pooled_url(database_url: str, tmp_path: Path) -> AsyncIterator[str]:
    async with pgbouncer(tmp_path, database_url, POOL_SIZE) as url:
        yield url


@pytest.fixture
async def wires(redis_url: str, pooled_url: str) -> AsyncIterator[Wires]:
    settings = settings_for(redis_url, pooled_url, SHARDS="1")
    async with process.open_wires(settings, database=True) as opened:
        yield opened


async def test_f35_replays_of_two_writers_between_each_other(wires: Wires) -> None:
    """A replay needs a temporary table: it must not be met by whoever has the connection next."""
    items = [scored(number) for number in range(300)]

    async def write(offset: int) -> None:
        for first in range(0, 300, 50):
            part = items[(first + offset) % 300 :][:50]
            async with wires.database.transaction() as connection:
                await scans.store(connection, part)
            async with wires.database.connection() as connection:
                await rebuilt_history(connection, part[1].scan.product_id)

    await asyncio.gather(*(write(offset) for offset in (0, 25, 50, 150)))
    assert await rows(wires) == 300
    assert await statistics_hold(wires)


async def test_f35_nothing_stays_on_a_connection(wires: Wires, database_url: str) -> None:
    """No prepared statement, lock, listener, setting or table outlives its transaction."""
    item = scored(1)
    for _ in range(2):
        async with wires.database.transaction() as connection:
            await scans.store(connection, [item])
    await Maintenance(wires).tick()
    left = []
    for _ in range(20):
        async with wires.database.transaction() as connection:
            left += await connection.fetch(
                "SELECT 'statement', name FROM pg_prepared_statements UNION ALL "
                "SELECT 'table', relname FROM pg_class WHERE relpersistence = 't' UNION ALL "
                "SELECT 'setting', name FROM pg_settings WHERE source = 'session' "
                "AND name NOT IN ('statement_timeout', 'idle_in_transaction_session_timeout')"
            )
    watcher = await asyncpg.connect(database_url)
    try:
        left += await watcher.fetch("SELECT 'lock', objid FROM pg_locks WHERE locktype='advisory'")
    finally:
        await watcher.close()
    assert {tuple(row) for row in left if row[1] not in SET_BY_OTHERS} == set()


async def test_f35_migrations_of_two_processes_at_once(database_url: str, tmp_path: Path) -> None:
    administrator = await asyncpg.connect(database_url)
    empty = database_named(database_url, "behind_pooler")
    await administrator.execute("CREATE DATABASE behind_pooler")
    try:
        async with (
            pgbouncer(tmp_path, empty, POOL_SIZE) as url,
            contextlib.AsyncExitStack() as stack,
        ):
            databases = [await Database.open(url, most=1) for _ in range(3)]
            for database in databases:
                stack.push_async_callback(database.close)

            async def migrate(database: Database) -> None:
                async with database.connection() as connection:
                    await migrations.migrate(connection)

            await asyncio.gather(*map(migrate, databases))
            async with databases[0].connection() as connection:
                assert await migrations.missing(connection) == []
    finally:
        await administrator.execute("DROP DATABASE behind_pooler WITH (FORCE)")
        await administrator.close()


@pytest.mark.timeout(300)
async def test_f35_the_whole_system_behind_a_pooler(database_url: str, tmp_path: Path) -> None:
    """Every process shares a few connections: batches become products and are anchored, scans are
    scored and stored, some of them twice.
    """
    async with pgbouncer(tmp_path, database_url, 2 * POOL_SIZE) as url:
        system = System(tmp_path / "home")
        system.environ["VOKETAG_DATABASE_URL"] = url
        try:
            await system.start()
            await the_main_job(system, database_url)
        finally:
            await system.close()


async def the_main_job(system: System, database_url: str) -> None:
    async with system.api() as api:
        factory = api.factory(await join(api))

        async def batch(number: int) -> None:
            made = await factory.create_batch(
                product_count=50, sku=f"SHOE-{number}", name="Shoe", destination_countries=[]
            )
            await completed(system, factory, made.batch_id)
            products = [product async for product in factory.products(made.batch_id)]
            scanned = await asyncio.gather(
                *(api.scan.scan(product.token, country="BR") for product in products[:20])
            )
            await recorded(system, api, scanned[-1].scan_id)

        await asyncio.gather(*(batch(number) for number in range(4)))

    async def all_stored() -> bool | None:
        connection = await asyncpg.connect(database_url)
        try:
            stored = await connection.fetchval("SELECT count(*) FROM scan_events")
        finally:
            await connection.close()
        return True if stored >= 80 else None

    await system.until("every scan is stored", all_stored)
