"""Servers that are unfit are refused in a clear sentence, before any work; absent ones are not."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from consumers.maintain import months_before, utc_now
from tests.anchoring import open_world
from tests.cutting_proxy import cutting_proxy
from tests.factory_floor import settings_for
from tests.servers import Servers, database_named, eventually
from tests.voketag.test_process import ended, environ_for, logged, started
from voketag import identifiers, process, start_checks
from voketag.errors import SettingsError
from voketag.process import Wires
from voketag.start_checks import checked


@pytest.fixture
async def wires(redis_url: str, database_url: str) -> AsyncIterator[Wires]:
    settings = settings_for(redis_url, database_url)
    async with process.open_wires(settings, database=True) as opened:
        yield opened


@pytest.fixture
async def administrator(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def faults_of(
    wires: Wires, *, may_lose: bool = False, partitions: bool = False, ahead_s: float = 0
) -> list[str]:
    async with wires.database.connection() as connection:
        return await start_checks.database_faults(
            connection,
            may_lose=may_lose,
            partitions=partitions,
            clock_s=lambda: time.time() + ahead_s,
        )


async def test_servers_of_ours_have_no_faults(wires: Wires) -> None:
    assert await faults_of(wires, partitions=True) == []
    assert await start_checks.redis_faults(wires) == []


# ---------------------------------------------------------------------- Postgres


async def test_an_older_schema_says_migrate(
    wires: Wires, administrator: asyncpg.Connection
) -> None:
    await administrator.execute("DELETE FROM schema_migrations WHERE file LIKE 'schema.sql%'")
    (fault,) = await faults_of(wires)
    assert "schema.sql" in fault
    assert "run `voketag migrate`" in fault
    await administrator.execute("DROP TABLE schema_migrations")
    (fault,) = await faults_of(wires)
    assert "run `voketag migrate`" in fault


async def test_a_newer_schema_is_accepted(wires: Wires, administrator: asyncpg.Connection) -> None:
    """Two versions run side by side while one is deployed."""
    await administrator.execute("INSERT INTO schema_migrations (file) VALUES ('9999_later.sql')")
    assert await faults_of(wires) == []


async def test_a_database_that_is_not_ours_says_migrate(redis_url: str, servers: Servers) -> None:
    settings = settings_for(redis_url, database_named(servers.database_url, "postgres"))
    async with process.open_wires(settings, database=True) as wires:
        (fault,) = await faults_of(wires, partitions=True)
    assert "run `voketag migrate`" in fault


@pytest.mark.parametrize("month", [0, -1])
@pytest.mark.parametrize("table", ["scan_events", "products"])
async def test_f32_a_missing_month_is_said_to_whoever_stores_into_it(
    wires: Wires, administrator: asyncpg.Connection, table: str, month: int
) -> None:
    name = f"{table}_{months_before(utc_now(), month):%Y_%m}"
    await administrator.execute(f"DROP TABLE {name}")
    (fault,) = await faults_of(wires, partitions=True)
    assert f"({name})" in fault
    assert "consumers/maintain" in fault
    assert await faults_of(wires) == []  # what it does not store it does not need


async def test_f1_a_postgres_that_answers_before_it_has_written_is_refused(
    wires: Wires, administrator: asyncpg.Connection, database_url: str
) -> None:
    name = urlsplit(database_url).path[1:]
    await administrator.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    (fault,) = await faults_of(wires)
    assert "synchronous_commit is off" in fault
    assert "VOKETAG_DATABASE_MAY_LOSE=yes" in fault
    assert await faults_of(wires, may_lose=True) == []


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
async def test_f1_a_postgres_whose_files_may_be_lost_is_refused(
    wires: Wires, administrator: asyncpg.Connection, setting: str
) -> None:
    async def says(faults: int) -> bool:
        return len(await faults_of(wires)) == faults

    await administrator.execute(f"ALTER SYSTEM SET {setting} = off")
    try:
        await administrator.execute("SELECT pg_reload_conf()")
        await eventually(lambda: says(1))
        assert f"{setting} is off" in (await faults_of(wires))[0]
    finally:
        await administrator.execute(f"ALTER SYSTEM RESET {setting}")
        await administrator.execute("SELECT pg_reload_conf()")
    await eventually(lambda: says(0))


# ---------------------------------------------------------------------- clocks


@pytest.mark.parametrize(("ahead_s", "said"), [(3600.0, "ahead of"), (-3600.0, "behind")])
async def test_a_clock_far_off_is_refused(wires: Wires, ahead_s: float, said: str) -> None:
    (postgres,) = await faults_of(wires, ahead_s=ahead_s)
    (redis,) = await start_checks.redis_faults(wires, lambda: time.time() + ahead_s)
    for fault in (postgres, redis):
        assert said in fault
        assert "3600 s" in fault
        assert "NTP" in fault


async def test_a_clock_a_little_off_is_accepted(wires: Wires) -> None:
    assert await faults_of(wires, ahead_s=30) == []
    assert await start_checks.redis_faults(wires, lambda: time.time() - 30) == []


# ---------------------------------------------------------------------- the chain


async def test_f43_another_chain_than_that_of_the_anchors_is_refused(
    database_url: str, chain_url: str, administrator: asyncpg.Connection
) -> None:
    async with open_world(database_url, chain_url) as world:
        assert await start_checks.chain_faults(world.chain, world.database) == []
        await administrator.execute(
            "INSERT INTO anchors (anchor_id, chain_id, contract, sender, nonce, root, batch_count, "
            "status) VALUES ($1, 1, '', '', 0, '', 1, 'final')",
            identifiers.new_id(),
        )
        (fault,) = await start_checks.chain_faults(world.chain, world.database)
        assert "answers for chain 31337" in fault
        assert "1 anchors on chain 1, 0 of them under way" in fault


# ---------------------------------------------------------------------- the process


@pytest.mark.parametrize("module", ["consumers.persist", "voketag.ops", "producers.scan"])
async def test_a_process_that_finds_a_fault_exits_with_2_and_says_it(
    redis_url: str, database_url: str, administrator: asyncpg.Connection, module: str
) -> None:
    await administrator.execute("DROP TABLE schema_migrations")
    async with started(environ_for(redis_url, database_url), "-m", module) as (running, _):
        _, error = await running.communicate()
    assert running.returncode == 2
    assert b"run `voketag migrate`" in error
    assert b"Traceback" not in error


async def test_a_process_honours_a_stop_while_its_servers_are_silent(
    redis_url: str, database_url: str
) -> None:
    async with (
        cutting_proxy(database_url) as (postgres, database),
        cutting_proxy(redis_url) as (redis, streams),
    ):
        postgres.freezes_new = redis.freezes_new = True
        async with started(environ_for(streams, database), "-m", "voketag.ops") as (running, lines):
            await logged(running, lines, "started")
            running.send_signal(signal.SIGTERM)
            assert await ended(running, lines) == 0


async def test_a_server_that_comes_later_is_looked_at_then(
    servers: Servers, redis_url: str, database_url: str, administrator: asyncpg.Connection
) -> None:
    """The work goes on meanwhile, and ends when the fault is found."""
    await administrator.execute("DROP TABLE schema_migrations")
    await servers.stop("postgres")
    async with started(environ_for(redis_url, database_url), "-m", "consumers.maintain") as (
        running,
        lines,
    ):
        await logged(running, lines, "waiting")
        await servers.start("postgres")
        _, error = await running.communicate()
    assert running.returncode == 2
    assert b"run `voketag migrate`" in error


async def test_the_work_begins_once_every_server_was_looked_at(
    wires: Wires, administrator: asyncpg.Connection
) -> None:
    stopping = asyncio.Event()
    async with checked(wires, stopping):
        pass
    await administrator.execute("DROP TABLE schema_migrations")
    with pytest.raises(SettingsError):
        async with checked(wires, stopping):
            raise AssertionError("worked all the same")
    assert not stopping.is_set()
