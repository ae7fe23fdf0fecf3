"""Factories and keys as they are stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.factory_floor import settings_for
from voketag import identifiers, keys, process
from voketag.errors import Conflict
from voketag.records import factories
from voketag.records.database import Connection

NOW = datetime.now(UTC)


@pytest.fixture
async def connection(redis_url: str, database_url: str) -> AsyncIterator[Connection]:
    settings = settings_for(redis_url, database_url)
    async with (
        process.open_wires(settings, database=True) as wires,
        wires.database.connection() as opened,
    ):
        yield opened


async def state(connection: Connection, key: str, now: datetime = NOW) -> str | None:
    owner = await factories.factory_of_key(connection, keys.digest(key), now)
    return None if owner is None else owner.state


async def test_a_factory_is_made_with_a_key_that_is_not_kept(connection: Connection) -> None:
    factory_id, key = await factories.create_factory(connection, "Sole & Co", "erp@example.com")
    owner = await factories.factory_of_key(connection, keys.digest(key), NOW)
    assert owner is not None
    assert (owner.factory_id, owner.state) == (factory_id, "valid")
    row = await connection.fetchrow("SELECT * FROM api_keys")
    assert row is not None
    assert row["prefix"] == key[:11]
    assert key not in str(dict(row))
    assert await state(connection, keys.mint()) is None


async def test_an_address_belongs_to_one_factory(connection: Connection) -> None:
    await factories.create_factory(connection, "One", "erp@example.com")
    with pytest.raises(Conflict, match="e-mail"):
        await factories.create_factory(connection, "Two", "ERP@example.com")
    assert len(await factories.list_factories(connection)) == 1
    assert await connection.fetchval("SELECT count(*) FROM api_keys") == 1


async def test_factories_are_listed_in_order_with_their_keys(connection: Connection) -> None:
    made = [
        (await factories.create_factory(connection, f"F{n}", f"{n}@example.com"))[0]
        for n in range(5)
    ]
    added = await factories.add_key(connection, made[1], NOW + timedelta(days=1))
    assert added is not None
    listed = await factories.list_factories(connection)
    assert [factory.factory_id for factory in listed] == made
    assert [len(factory.keys) for factory in listed] == [1, 2, 1, 1, 1]
    assert listed[1].keys[1].key_id == added[0]
    assert listed[1].keys[1].prefix == keys.prefix(added[1])
    assert listed[1].keys[1].expires_at == NOW + timedelta(days=1)
    page = await factories.list_factories(connection, limit=2, after=made[1])
    assert [factory.factory_id for factory in page] == made[2:4]


async def test_keys_end_by_time_or_by_hand(connection: Connection) -> None:
    factory_id, first = await factories.create_factory(connection, "F", "f@example.com")
    added = await factories.add_key(connection, factory_id, NOW)
    assert added is not None
    key_id, key = added
    assert await state(connection, key, NOW - timedelta(seconds=1)) == "valid"
    assert await state(connection, key, NOW) == "expired"
    assert await factories.revoke_key(connection, key_id)
    revoked_at = await connection.fetchval("SELECT max(revoked_at) FROM api_keys")
    assert await state(connection, key, NOW) == "revoked"
    assert await factories.revoke_key(connection, key_id)
    assert await connection.fetchval("SELECT max(revoked_at) FROM api_keys") == revoked_at
    assert await state(connection, first) == "valid"


async def test_what_is_not_there_is_told(connection: Connection) -> None:
    unknown = identifiers.new_id()
    assert await factories.add_key(connection, unknown) is None
    assert not await factories.revoke_key(connection, unknown)
    assert await factories.list_factories(connection) == []
