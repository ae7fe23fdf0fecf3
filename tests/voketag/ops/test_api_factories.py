"""Factories and keys through the HTTP door of ops."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.administration import UNKNOWN, Admin, admin_on
from voketag import keys
from voketag.records import factories


@pytest.fixture
async def admin(redis_url: str, database_url: str) -> AsyncIterator[Admin]:
    async with admin_on(redis_url, database_url) as opened:
        yield opened


async def test_a_factory_is_made_with_a_key_that_is_shown_once(admin: Admin) -> None:
    body = {"name": "Tênis Ltda", "email": "ERP@Factory.example"}
    async with admin.session.post("/v1/factories", json=body, headers=admin.headers) as response:
        assert response.status == 201
        made = await response.json()
        location = response.headers["Location"]
    assert location == f"/v1/factories/{made['factory_id']}"
    key = made["api_key"]
    async with admin.wires.database.connection() as connection:
        owner = await factories.factory_of_key(connection, keys.digest(key), datetime.now(UTC))
    assert owner is not None
    assert owner.state == "valid"
    assert str(owner.factory_id) == made["factory_id"]
    shown = await admin.ask("GET", location)
    assert shown["name"] == "Tênis Ltda"
    assert shown["email"] == "erp@factory.example"
    assert [kept["prefix"] for kept in shown["keys"]] == [keys.prefix(key)]
    assert key not in str(shown)
    assert keys.digest(key).hex() not in str(await admin.ask("GET", "/v1/factories"))


async def test_an_email_address_belongs_to_one_factory(admin: Admin) -> None:
    await admin.factory(email="erp@factory.example")
    code, detail = await admin.refused(
        "POST", "/v1/factories", {"name": "G", "email": "Erp@factory.example"}, 409
    )
    assert code == "email_used"
    assert "exists already" in detail
    assert len((await admin.ask("GET", "/v1/factories"))["factories"]) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "F"}, 422),
        ({"name": "", "email": "erp@factory.example"}, 422),
        ({"name": "a\x00b", "email": "erp@factory.example"}, 422),
        ({"name": "F" * 256, "email": "erp@factory.example"}, 422),
        ({"name": "F", "email": "factory.example"}, 422),
        ({"name": "F", "email": "erp@factory"}, 422),
        ({"name": "F", "email": "erp@factory.example\n"}, 422),
        ({"name": "F", "email": "e rp@factory.example"}, 422),
        ({"name": "F", "email": "erp@factory.example", "admin": True}, 422),
        ([], 422),
    ],
)
async def test_a_bad_factory_is_refused_whole(admin: Admin, body: Any, status: int) -> None:
    await admin.refused("POST", "/v1/factories", body, status)
    assert (await admin.ask("GET", "/v1/factories"))["factories"] == []


async def test_factories_are_listed_in_pages(admin: Admin) -> None:
    made = [(await admin.factory(email=f"f{n}@factory.example"))["factory_id"] for n in range(5)]
    listed, cursor = [], ""
    for _ in range(3):
        page = await admin.ask("GET", f"/v1/factories?limit=2{cursor}")
        listed += [factory["factory_id"] for factory in page["factories"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert listed == made
    assert page["next_cursor"] is None
    for query in ("limit=0", "limit=1001", "limit=x", "cursor=nonsense"):
        await admin.refused("GET", f"/v1/factories?{query}", None, 422)


async def test_keys_are_added_with_an_end_and_revoked(admin: Admin) -> None:
    path = f"/v1/factories/{(await admin.factory())['factory_id']}/keys"
    ends = datetime.now(UTC) + timedelta(days=1)
    made = await admin.ask("POST", path, {"expires_at": ends.isoformat()}, 201)
    assert datetime.fromisoformat(made["expires_at"]) == ends
    assert (await admin.ask("POST", path, {}, 201))["expires_at"] is None
    assert (await admin.ask("POST", path, None, 201))["expires_at"] is None
    digest = keys.digest(made["api_key"])
    for moment, state in ((ends - timedelta(seconds=1), "valid"), (ends, "expired")):
        async with admin.wires.database.connection() as connection:
            owner = await factories.factory_of_key(connection, digest, moment)
        assert owner is not None
        assert owner.state == state
    for _ in range(2):  # once more changes nothing
        await admin.ask("DELETE", f"/v1/keys/{made['key_id']}", None, 204)
    async with admin.wires.database.connection() as connection:
        owner = await factories.factory_of_key(connection, digest, datetime.now(UTC))
    assert owner is not None
    assert owner.state == "revoked"


async def test_bad_ends_and_unknown_ids_are_refused(admin: Admin) -> None:
    path = f"/v1/factories/{(await admin.factory())['factory_id']}/keys"
    for end in (
        "2020-01-01T00:00:00Z",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        "2099-01-01T00:00:00",
        "tomorrow",
        1,
    ):
        await admin.refused("POST", path, {"expires_at": end}, 422)
    await admin.refused("POST", f"/v1/factories/{UNKNOWN}/keys", {}, 404)
    await admin.refused("POST", "/v1/factories/1/keys", {}, 404)
    await admin.refused("GET", f"/v1/factories/{UNKNOWN}", None, 404)
    await admin.refused("GET", f"/v1/factories/{UUID(int=0)}", None, 404)
    await admin.refused("DELETE", f"/v1/keys/{UNKNOWN}", None, 404)
