"""persist and everything that can become of Postgres: each accepted scan is stored once, nothing is
buried, and work goes on by itself.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from structlog.testing import capture_logs

from consumers import persist
from tests.cutting_proxy import cutting_proxy
from tests.factory_floor import running, settings_for, until
from tests.scored_scans import (
    acknowledged,
    nothing_buried,
    publish,
    rows,
    scored,
    statistics_hold,
)
from tests.servers import TEMPLATE, Servers, database_named, eventually
from voketag import events, process
from voketag.errors import Unavailable
from voketag.process import Wires
from voketag.records import database, scans


@contextlib.asynccontextmanager
async def wires_of(redis_url: str, database_url: str) -> AsyncIterator[Wires]:
    settings = settings_for(redis_url, database_url, SHARDS="1")
    async with process.open_wires(settings, database=True) as opened:
        yield opened


@pytest.fixture
async def wires(redis_url: str, database_url: str) -> AsyncIterator[Wires]:
    async with wires_of(redis_url, database_url) as opened:
        yield opened


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many transactions instead of one, so that trouble meets some of them half-way."""
    monkeypatch.setattr(persist, "BATCH", 20)


async def seen(wires: Wires) -> int:
    """How many scans are stored, as far as Postgres tells."""
    try:
        return await rows(wires)
    except Unavailable:
        return -1


async def until_stored(wires: Wires, count: int) -> None:
    """Wait until everything is stored and acknowledged; then all of it must be as it should."""

    async def stored() -> bool:
        return await seen(wires) == count and await acknowledged(wires)

    await eventually(stored, 40)
    assert await statistics_hold(wires)
    assert await nothing_buried(wires)


async def until_some_stored(wires: Wires, more_than: int = 0) -> None:
    async def some() -> bool:
        return await seen(wires) > more_than

    await until(some, "some stored")


def waited_for(logs: list[MutableMapping[str, Any]], error: str) -> bool:
    """Whether the loop said that it waits, because of this."""
    return any(error in str(entry.get("error")) for entry in logs if entry["event"] == "waiting")


async def until_in_hand(wires: Wires) -> None:
    """Wait until entries are delivered and pending."""

    async def pending() -> bool:
        groups = await wires.streams.redis.xinfo_groups(events.scored(0))
        return any(group["pending"] for group in groups)

    await until(pending, "entries in hand")


# ---------------------------------------------------------------------- one bad row


async def test_f25_f33_a_row_that_cannot_be_encoded_is_buried_alone(wires: Wires) -> None:
    items = [scored(number) for number in range(30)]
    bad = items[7]
    items[7] = msgspec.structs.replace(
        bad, assessment=msgspec.structs.replace(bad.assessment, score=70_000)
    )
    async with running(wires, persist.build(wires)):
        await publish(wires, items)

        async def done() -> bool:
            return await rows(wires) == 29 and await acknowledged(wires)

        await until(done, "all the others stored")
    dead: Any = await wires.streams.redis.xrange(events.scored(0) + events.DEAD_SUFFIX)
    ((_, letter),) = dead
    assert str(bad.scan.scan_id).encode() in letter[b"dead_error"]
    assert await statistics_hold(wires)


# ---------------------------------------------------------------------- the network


async def test_f34_the_reply_to_a_commit_is_lost(redis_url: str, database_url: str) -> None:
    async with cutting_proxy(database_url) as (proxy, url), wires_of(redis_url, url) as wires:
        await publish(wires, [scored(number) for number in range(100)])
        proxy.lose_reply_to = b"COMMIT"
        async with running(wires, persist.build(wires)):
            await until_stored(wires, 100)
        assert proxy.cuts == 1


async def test_f23_a_silent_postgres_is_waited_for(
    redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bound in ("ACQUIRE_TIMEOUT_S", "CONNECT_TIMEOUT_S"):
        monkeypatch.setattr(database, bound, 0.5)
    monkeypatch.setattr(scans, "COPY_TIMEOUT_S", 0.5)
    async with cutting_proxy(database_url) as (proxy, url), wires_of(redis_url, url) as wires:
        await publish(wires, [scored(number) for number in range(100)])
        proxy.freeze_at = b"COPY"
        async with running(wires, persist.build(wires)):
            await eventually(lambda: proxy.freezes_new)
            await until_in_hand(wires)
            proxy.freezes_new = False
            await until_stored(wires, 100)


# ---------------------------------------------------------------------- the server


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("how", ["fast restart", "crash"])
async def test_f36_postgres_ends_under_load(wires: Wires, servers: Servers, how: str) -> None:
    items = [scored(number) for number in range(600)]
    async with running(wires, persist.build(wires)):
        for part in range(3):
            await publish(wires, items[part * 200 : part * 200 + 150])
            await until_some_stored(wires, part * 200)
            if how == "crash":
                await servers.kill("postgres")
            else:
                await servers.restart("postgres")
            await publish(wires, items[part * 200 + 150 : part * 200 + 200])
            await servers.ready("postgres")
        await until_stored(wires, len(items))


@pytest.mark.usefixtures("small_batches")
async def test_f36_sessions_ended_by_an_administrator(wires: Wires, servers: Servers) -> None:
    items = [scored(number) for number in range(600)]
    administrator = await asyncpg.connect(servers.database_url)
    ended = 0
    try:
        async with running(wires, persist.build(wires)):
            for part in range(6):
                await publish(wires, items[part * 100 : part * 100 + 100])
                await until_some_stored(wires, part * 80)
                ended += await administrator.fetchval(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                    "WHERE datname LIKE 'test%'"
                )
            await until_stored(wires, len(items))
    finally:
        await administrator.close()
    assert ended


async def test_f36_a_postgres_without_a_connection_to_spare(wires: Wires, servers: Servers) -> None:
    others: list[asyncpg.Connection] = []
    with contextlib.suppress(asyncpg.TooManyConnectionsError):
        while len(others) < 500:
            others.append(await asyncpg.connect(servers.database_url))
    await publish(wires, [scored(number) for number in range(50)])
    with capture_logs() as logs:
        async with running(wires, persist.build(wires)):
            await eventually(lambda: waited_for(logs, "TooManyConnectionsError"))
            for other in others:
                await other.close()
            await until_stored(wires, 50)


async def set_read_only(url: str, value: str) -> None:
    """As after a failover that left us with the standby."""
    writing = {"default_transaction_read_only": "off"}
    connection = await asyncpg.connect(url, server_settings=writing)
    try:
        await connection.execute(f"ALTER SYSTEM {value}")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()


async def test_f36_a_read_only_postgres_is_waited_for(wires: Wires, servers: Servers) -> None:
    items = [scored(number) for number in range(100)]
    with capture_logs() as logs:
        async with running(wires, persist.build(wires)):
            await publish(wires, items[:50])
            await until_stored(wires, 50)
            await set_read_only(servers.database_url, "SET default_transaction_read_only = on")
            try:
                await publish(wires, items[50:])
                await eventually(lambda: waited_for(logs, "ReadOnlySQLTransactionError"))
                assert await rows(wires) == 50
            finally:
                await set_read_only(servers.database_url, "RESET default_transaction_read_only")
            await until_stored(wires, 100)


# ---------------------------------------------------------------------- the disk


@pytest.fixture
def small_disk(servers: Servers, tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MiB that Postgres may keep a database on."""
    data = servers.stack.home / "postgres" / "data"
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ("mount", "-t", "tmpfs", "-o", "size=48m,mode=0700", "voketag", str(folder))
    done = subprocess.run(mounting, capture_output=True, text=True, check=False)
    if done.returncode:
        folder.rmdir()
        pytest.skip(f"a file system of its own needs root: {done.stderr.strip()}")
    try:
        place = folder / "tablespace"
        place.mkdir()
        owner = data.stat()
        for path in (folder, place):
            os.chown(path, owner.st_uid, owner.st_gid)
        yield place
    finally:
        subprocess.run(("umount", "--lazy", str(folder)), check=True)


def fill(disk: Path, left_bytes: int) -> Path:
    """A file that leaves so much room."""
    filler = disk.parent / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - left_bytes)
    return filler


async def test_f36_a_full_disk_is_waited_for(
    servers: Servers, redis_url: str, database_url: str, small_disk: Path
) -> None:
    """Nothing is lost, nothing is buried, and it goes on once there is room."""
    administrator = await asyncpg.connect(servers.database_url)
    try:
        await administrator.execute(f"CREATE TABLESPACE small LOCATION '{small_disk}'")
        await administrator.execute(
            f"CREATE DATABASE on_small TEMPLATE {TEMPLATE} TABLESPACE small"
        )
        filler = fill(small_disk, 200_000)
        async with wires_of(redis_url, database_named(database_url, "on_small")) as wires:
            items = [scored(number) for number in range(2500)]
            with capture_logs() as logs:
                async with running(wires, persist.build(wires)):
                    await publish(wires, items)
                    await eventually(lambda: waited_for(logs, "DiskFullError"))
                    assert await rows(wires) < len(items)
                    filler.unlink()
                    await until_stored(wires, len(items))
    finally:
        await administrator.execute("DROP DATABASE IF EXISTS on_small WITH (FORCE)")
        await administrator.execute("DROP TABLESPACE IF EXISTS small")
        await administrator.close()
