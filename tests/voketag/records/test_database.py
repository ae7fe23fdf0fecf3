"""The Postgres wire: which errors mean "wait for it", and that no wait of its own is endless."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from tests.cutting_proxy import CuttingProxy, cutting_proxy
from tests.servers import database_named, eventually
from voketag.errors import Unavailable
from voketag.records import binary_copy
from voketag.records import database as wire
from voketag.records.database import Database


def with_another_password(url: str) -> str:
    parts = urlsplit(url)
    where = f"{parts.username}:another@{parts.hostname}:{parts.port}"
    return urlunsplit(parts._replace(netloc=where))


async def test_a_server_that_does_not_let_us_in_is_waited_for(database_url: str) -> None:
    """A password that was changed must not bury what the consumers have in hand."""
    for url in (with_another_password(database_url), database_named(database_url, "not_there")):
        database = await Database.open(url)
        with pytest.raises(Unavailable):
            await database.ping()
        await database.close()


async def test_a_wrong_statement_stays_an_error(database_url: str) -> None:
    database = await Database.open(database_url)
    with pytest.raises(asyncpg.UndefinedTableError):
        async with database.connection() as connection:
            await connection.execute("SELECT FROM nowhere")
    await database.close()


async def test_a_check_that_fails_stays_an_error(database_url: str) -> None:
    """A missing partition has the same code, and is waited for."""
    database = await Database.open(database_url)
    with pytest.raises(asyncpg.CheckViolationError):
        async with database.connection() as connection:
            await connection.execute(
                "INSERT INTO fraud_reports (report_id, reason, reporter_hash, status) "
                "VALUES (gen_random_uuid(), 'other', '', 'lost')"
            )
    await database.close()


async def test_f36_an_idle_session_that_the_server_ends_is_replaced(database_url: str) -> None:
    """Whatever the instant in which it is used again: between the server's last word and the end
    of the socket the library takes the connection for a good one, and fails in its own way.
    """
    administrator = await asyncpg.connect(database_url)
    database = await Database.open(database_url, most=1)
    try:
        for _ in range(100):
            with contextlib.suppress(Unavailable):  # anything else would be taken for a bug
                await database.ping()
            with contextlib.suppress(Unavailable):
                async with database.connection() as connection:
                    pid = await connection.fetchval("SELECT pg_backend_pid()")
                await administrator.execute(f"SELECT pg_terminate_backend({pid})")

        async def answers() -> bool:
            with contextlib.suppress(Unavailable):
                await database.ping()
                return True
            return False

        await eventually(answers)
    finally:
        await database.close()
        await administrator.close()


# ---------------------------------------------------------------------- silence


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounds of every wait, shortened: what is shown is that there are some."""
    monkeypatch.setattr(wire, "ACQUIRE_TIMEOUT_S", 0.5)
    monkeypatch.setattr(wire, "CONNECT_TIMEOUT_S", 0.5)


@contextlib.asynccontextmanager
async def behind_proxy(
    url: str, command_timeout_s: float = 0.5
) -> AsyncIterator[tuple[CuttingProxy, Database]]:
    async with cutting_proxy(url) as (proxy, through):
        database = await Database.open(through, most=1, command_timeout_s=command_timeout_s)
        try:
            yield proxy, database
        finally:
            proxy.freezes_new = False
            await database.close()


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("freeze_at", [b"BEGIN", b"SET LOCAL", b"now()", b"COMMIT"])
async def test_f23_a_postgres_that_falls_silent_is_unavailable(
    database_url: str, freeze_at: bytes
) -> None:
    """Its connections stay open: no error ever comes from the network."""
    async with behind_proxy(database_url) as (proxy, database):
        await database.ping()
        proxy.freeze_at = freeze_at
        async with asyncio.timeout(10):
            with pytest.raises(Unavailable):
                async with database.transaction() as connection:
                    await connection.fetchval("SELECT now()")
            with pytest.raises(Unavailable):  # new connections meet the same silence
                await database.ping()
        proxy.freezes_new = False
        await database.ping()


@pytest.mark.usefixtures("hurry")
async def test_f23_a_stuck_pool_is_unavailable(database_url: str) -> None:
    database = await Database.open(database_url, most=1)
    async with database.connection():
        with pytest.raises(Unavailable):
            await database.ping()
    await database.ping()
    await database.close()


async def test_f23_a_client_that_is_gone_leaves_no_locks(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends a transaction from which nothing is heard: a half-open connection may look
    alive to TCP for hours.
    """
    monkeypatch.setattr(wire, "_BOUNDS", wire._BOUNDS.replace(f"{wire.IDLE_ENDS_S}s", "50ms"))
    watcher = await asyncpg.connect(database_url)

    async def free() -> bool:
        return bool(await watcher.fetchval("SELECT pg_try_advisory_lock(7)"))

    try:
        async with behind_proxy(database_url) as (_, database):

            async def lock_and_wait() -> None:
                async with database.transaction() as connection:
                    await connection.execute("SELECT pg_advisory_xact_lock(7)")
                    await eventually(free)
                    await connection.execute("SELECT 1")

            with pytest.raises(Unavailable):
                await lock_and_wait()
            await database.ping()
    finally:
        await watcher.close()


async def test_f5_f23_a_cancelled_command_costs_its_connection_and_no_other(
    database_url: str,
) -> None:
    """The server's leave is not asked for: it may be silent, and a process has to stop in time."""
    async with behind_proxy(database_url, command_timeout_s=60) as (proxy, database):
        proxy.freeze_at = b"pg_sleep"

        async def sleep() -> None:
            async with database.transaction() as connection:
                await connection.execute("SELECT pg_sleep(0)")

        sleeping = asyncio.create_task(sleep())
        await eventually(lambda: proxy.freezes_new)
        sleeping.cancel()
        async with asyncio.timeout(10):
            with pytest.raises(asyncio.CancelledError):
                await sleeping
        proxy.freezes_new = False
        await database.ping()


# ---------------------------------------------------------------------- COPY


async def test_f33_what_cannot_be_encoded_never_reaches_the_server(database_url: str) -> None:
    async with behind_proxy(database_url) as (_, database), database.transaction() as connection:
        pid = await connection.fetchval("SELECT pg_backend_pid()")
        await connection.execute("CREATE TEMPORARY TABLE t (a smallint)")
        rows = (binary_copy.head(1) + binary_copy.smallint(number) for number in (1, 70_000))
        with pytest.raises(OverflowError):
            await binary_copy.copy_rows(connection, "t", ("a",), rows)
        # In the same transaction, which would be over had the COPY begun.
        assert await connection.fetchval("SELECT count(*) FROM t") == 0
        assert await connection.fetchval("SELECT pg_backend_pid()") == pid


@pytest.mark.usefixtures("hurry")
async def test_f23_f33_a_copy_that_stalls_is_given_up_with_its_connection(
    database_url: str,
) -> None:
    async with behind_proxy(database_url, command_timeout_s=60) as (proxy, database):
        proxy.freeze_at = b"COPY"

        async def copy() -> None:
            async with database.transaction() as connection:
                await connection.execute("CREATE TEMPORARY TABLE t (a smallint)")
                row = binary_copy.head(1) + binary_copy.smallint(1)
                await binary_copy.copy_rows(connection, "t", ("a",), [row], 0.5)

        async with asyncio.timeout(10):
            with pytest.raises(Unavailable):
                await copy()
        proxy.freezes_new = False
        await database.ping()
