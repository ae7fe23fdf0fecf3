"""What a consumer's test has unless its file says otherwise: one shard, a database, a factory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from tests.factory_floor import settings_for
from voketag import process
from voketag.process import Wires
from voketag.records import factories


@pytest.fixture
async def wires(redis_url: str, database_url: str) -> AsyncIterator[Wires]:
    settings = settings_for(redis_url, database_url, SHARDS="1")
    async with process.open_wires(settings, database=True) as opened:
        yield opened


@pytest.fixture
async def factory_id(wires: Wires) -> UUID:
    async with wires.database.connection() as connection:
        return (await factories.create_factory(connection, "F", "f@example.com"))[0]
