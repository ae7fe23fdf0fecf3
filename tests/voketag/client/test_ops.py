"""The ops client against the ops service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.administration import Admin, admin_on
from tests.cutting_proxy import cutting_proxy
from voketag import events
from voketag.client import OpsClient, ProblemError, TransportError


@pytest.fixture
async def admin(redis_url: str, database_url: str) -> AsyncIterator[Admin]:
    async with admin_on(redis_url, database_url) as opened:
        yield opened


def client_of(admin: Admin, url: str = "") -> OpsClient:
    return OpsClient(url or f"http://127.0.0.1:{admin.port}", admin.wires.settings.admin_key)


async def test_factories_and_their_keys(admin: Admin) -> None:
    async with client_of(admin) as ops:
        made = await ops.create_factory("Acme", "erp@acme.example")
        ends = datetime.now(UTC) + timedelta(days=1)
        key = await ops.create_key(made.factory_id, expires_at=ends)
        assert key.expires_at == ends
        await ops.revoke_key(key.key_id)
        await ops.revoke_key(key.key_id)
        factory = await ops.factory(made.factory_id)
        assert [(one.revoked_at is None) for one in factory.keys] == [True, False]
        await ops.create_factory("Other", "other@acme.example")
        assert [one.name async for one in ops.factories()] == ["Acme", "Other"]
        with pytest.raises(ProblemError) as raised:
            await ops.create_factory("Acme again", "erp@acme.example")
        assert raised.value.code == "email_used"


async def test_figures(admin: Admin) -> None:
    async with client_of(admin) as ops:
        await ops.ready()
        found = {stream.stream for stream in await ops.streams()}
        assert found == set(events.all_streams(admin.wires.settings.shards))
        stats = await ops.stats()
        assert (len(stats.days), stats.today.scans) == (30, 0)
        assert "voketag_" in await ops.metrics()


async def test_a_factory_whose_answer_is_lost_is_not_made_twice(admin: Admin) -> None:
    async with (
        cutting_proxy(f"http://127.0.0.1:{admin.port}") as (proxy, through),
        client_of(admin, through) as ops,
    ):
        proxy.lose_reply_to = b"POST /v1/factories"
        with pytest.raises(TransportError) as raised:
            await ops.create_factory("Acme", "erp@acme.example")
        assert raised.value.sent
        assert [one.name async for one in ops.factories()] == ["Acme"]
