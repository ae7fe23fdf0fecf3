"""Signing in, what a session may be used for, and what ends it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from tests.administration import UNKNOWN, Admin, admin_on, operator, signed_in
from tests.cutting_proxy import cutting_proxy
from tests.factory_floor import DEADLINE_S
from voketag import keys
from voketag.ops import access

KEY_OF_ANOTHER_DAY = "vta_ANOTHERANOTHERANOTHERANOTHER"


@pytest.fixture
async def admin(redis_url: str, database_url: str) -> AsyncIterator[Admin]:
    async with admin_on(redis_url, database_url) as opened:
        yield opened


def key_of(who: Admin) -> str:
    return who.headers["Authorization"].removeprefix("Bearer ")


# ---------------------------------------------------------------------- signing in and out


async def test_a_key_is_exchanged_for_a_session_that_ends(admin: Admin) -> None:
    analyst, _ = await operator(admin, "analyst", "Maria")
    for who, name, role in ((admin, "admin", "admin"), (analyst, "Maria", "analyst")):
        before = datetime.now(UTC)
        async with admin.session.post("/v1/session", json={"key": key_of(who)}) as response:
            told = await response.json()
        ends = datetime.fromisoformat(told.pop("expires_at"))
        assert timedelta(hours=7, minutes=59) < ends - before <= timedelta(hours=8, seconds=1)
        assert told == {"name": name, "role": role}
        inside = await signed_in(who)
        assert (await inside.ask("GET", "/v1/session"))["name"] == name
        assert await who.ask("GET", "/v1/session") == told | {"expires_at": None}
        await inside.ask("DELETE", "/v1/session", expected=204)
        await inside.ask("GET", "/v1/session", expected=401)
        await inside.ask("DELETE", "/v1/session", expected=204)  # gone is gone


async def test_no_script_and_no_other_site_gets_at_the_cookie(admin: Admin) -> None:
    """Over TLS, which a proxy speaks for us, it is for TLS and for this host alone."""
    for headers, name, secure in (
        ({}, "voketag_session", False),
        ({"Origin": "http://127.0.0.1"}, "voketag_session", False),
        ({"Origin": "https://ops.example"}, "__Host-voketag_session", True),
        ({"X-Forwarded-Proto": "https"}, "__Host-voketag_session", True),
    ):
        body = {"key": key_of(admin)}
        async with admin.session.post("/v1/session", json=body, headers=headers) as response:
            cookie = response.cookies[name]
            assert response.headers["Cache-Control"] == "no-store"
            assert len(response.cookies) == 1
        assert cookie["httponly"] is True
        assert cookie["samesite"] == "Strict"
        assert cookie["path"] == "/"
        assert not cookie["domain"]
        assert bool(cookie["secure"]) is secure
        assert 28_700 < int(cookie["max-age"]) <= 28_800
        sent = {"Cookie": f"{name}={cookie.value}", "X-VokeTag-Session": "1"}
        await admin.ask("GET", "/v1/streams", headers=sent)
        async with admin.session.delete("/v1/session", headers=sent) as response:
            assert all(cookie["max-age"] == "0" for cookie in response.cookies.values())
            assert name in response.cookies


async def test_only_the_hash_of_a_session_and_of_an_operators_key_is_kept(admin: Admin) -> None:
    viewer, _ = await operator(admin, "viewer")
    secrets = [key_of(admin), key_of(viewer)]
    for who in (admin, viewer):
        inside = await signed_in(who)
        secrets.append(inside.headers["Cookie"].partition("=")[2])
    async with admin.wires.database.connection() as connection:
        for table in ("operators", "operator_sessions", "audit_log"):
            rows = str(await connection.fetch(f"SELECT t::text FROM {table} t"))
            assert rows != "[]"
            for secret in secrets:
                assert secret not in rows
                assert secret[4:30] not in rows
                assert secret.encode().hex() not in rows


async def test_what_is_no_key_opens_no_session(admin: Admin) -> None:
    bodies: tuple[object, ...] = ({}, [], {"key": ""}, {"key": 1}, {"key": "nobody's"})
    for body in bodies:
        async with admin.session.post("/v1/session", json=body) as response:
            assert response.status == (401 if "nobody" in str(body) else 422)
            assert not response.cookies


async def test_whoever_guesses_in_the_form_waits_as_well(redis_url: str, database_url: str) -> None:
    async with admin_on(redis_url, database_url, KEY_GUESS_LIMIT="3") as admin:
        for key in ("guess", keys.mint(keys.OPERATOR), keys.mint()):
            await admin.ask("POST", "/v1/session", {"key": key}, 401, headers={})
        refused = await admin.ask("POST", "/v1/session", {"key": key_of(admin)}, 429, headers={})
        assert refused["code"] == "too_many_wrong_keys"
    async with admin_on(redis_url, database_url, KEY_GUESS_LIMIT="3") as admin:
        for token in ("guess", keys.mint(keys.SESSION), keys.mint()):
            guess = {"Cookie": f"voketag_session={token}"}
            await admin.ask("GET", "/v1/session", expected=401, headers=guess)
        await admin.ask("GET", "/v1/session", expected=429)


async def test_an_old_session_is_no_guess(redis_url: str, database_url: str) -> None:
    async with admin_on(redis_url, database_url, KEY_GUESS_LIMIT="2") as admin:
        inside = await signed_in(admin)
        await inside.ask("DELETE", "/v1/session", expected=204)
        for _ in range(4):
            await inside.ask("GET", "/v1/session", expected=401)


# ---------------------------------------------------------------------- what ends a session


async def test_a_session_is_over_at_its_time(admin: Admin) -> None:
    inside = await signed_in(admin)
    async with admin.wires.database.connection() as connection:
        await connection.execute("UPDATE operator_sessions SET expires_at = now()")
    await inside.ask("GET", "/v1/session", expected=401)
    async with admin.wires.database.connection() as connection:
        await connection.execute(
            "UPDATE operator_sessions SET expires_at = now() - '8 d'::interval"
        )
        await signed_in(admin)  # sweeps up
        assert await connection.fetchval("SELECT count(*) FROM operator_sessions") == 1


async def test_revoking_an_operator_ends_key_and_sessions_at_once(admin: Admin) -> None:
    analyst, operator_id = await operator(admin, "analyst")
    inside = [await signed_in(analyst) for _ in range(2)]
    await admin.ask("DELETE", f"/v1/operators/{operator_id}", expected=204)
    for who in (analyst, *inside):
        await who.ask("GET", "/v1/session", expected=401)
    body = {"key": key_of(analyst)}
    await admin.ask("POST", "/v1/session", body, 401, headers={})
    await admin.ask("DELETE", f"/v1/operators/{operator_id}", expected=204)
    await admin.ask("DELETE", f"/v1/operators/{UNKNOWN}", expected=404)
    (left,) = (await admin.ask("GET", "/v1/operators"))["operators"]
    assert left["revoked_at"] is not None


async def test_another_admin_key_ends_the_sessions_of_the_one_before(
    redis_url: str, database_url: str
) -> None:
    async with admin_on(redis_url, database_url) as admin:
        viewer, _ = await operator(admin, "viewer")
        of_admin, of_viewer = await signed_in(admin), await signed_in(viewer)
    async with admin_on(redis_url, database_url, ADMIN_KEY=KEY_OF_ANOTHER_DAY) as later:
        await later.ask("GET", "/v1/session", expected=401, headers=of_admin.headers)
        await later.ask("GET", "/v1/session", headers=of_viewer.headers)


async def test_a_stream_ends_with_its_session(
    admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "RECHECK_EVERY_S", 0.05)
    viewer, operator_id = await operator(admin, "viewer")
    inside = await signed_in(viewer)
    async with admin.session.get("/v1/live", headers=inside.headers) as response:
        assert response.status == 200
        assert await response.content.readuntil(b"event: beat")
        await admin.ask("DELETE", f"/v1/operators/{operator_id}", expected=204)
        async with asyncio.timeout(DEADLINE_S):
            with contextlib.suppress(aiohttp.ClientPayloadError):
                while await response.content.readany():
                    pass


# ---------------------------------------------------------------------- other sites


SAME_SITE: tuple[dict[str, str], ...] = (
    {},
    {"Sec-Fetch-Site": "same-origin"},
    {"Origin": "http://{host}"},
)
ELSEWHERE: tuple[dict[str, str], ...] = (
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"X-VokeTag-Session": ""},
    {"X-VokeTag-Session": "true"},
    {"Sec-Fetch-Site": "same-origin", "X-VokeTag-Session": ""},
)


async def test_no_other_site_acts_in_somebodys_name(admin: Admin) -> None:
    inside = await signed_in(admin)
    for changed in ELSEWHERE:
        headers, body = inside.headers | changed, {"name": "Maria", "role": "viewer"}
        refused = await admin.ask("POST", "/v1/operators", body, 403, headers=headers)
        assert refused["code"] == "cross_site", changed
        await admin.ask("DELETE", "/v1/session", expected=403, headers=headers)
    assert (await inside.ask("GET", "/v1/operators"))["operators"] == []
    await inside.ask("GET", "/v1/session")  # still signed in
    # With a key there is nothing that a browser would send by itself.
    for number, changed in enumerate(ELSEWHERE):
        body = {"name": f"Jo {number}", "role": "viewer"}
        await admin.ask("POST", "/v1/operators", body, 201, headers=admin.headers | changed)


async def test_a_page_of_ours_acts(admin: Admin) -> None:
    inside = await signed_in(admin)
    for number, changed in enumerate(SAME_SITE):
        told = {
            name: value.replace("{host}", f"127.0.0.1:{admin.port}")
            for name, value in changed.items()
        }
        body = {"name": f"Jo {number}", "role": "viewer"}
        await admin.ask("POST", "/v1/operators", body, 201, headers=inside.headers | told)


# ---------------------------------------------------------------------- Postgres is away


async def test_who_was_let_in_goes_on_reading_while_postgres_is_silent(
    redis_url: str, database_url: str
) -> None:
    async with (
        cutting_proxy(database_url) as (proxy, url),
        admin_on(redis_url, url) as admin,
    ):
        viewer, _ = await operator(admin, "viewer")
        known, unknown = await signed_in(viewer), await signed_in(viewer)
        await known.ask("GET", "/v1/streams")
        proxy.freezes_new = True
        proxy.freeze()
        await known.ask("GET", "/v1/streams")
        await known.ask("DELETE", "/v1/session", expected=503)
        stranger = {"Cookie": f"voketag_session={keys.mint(keys.SESSION)}"}
        await admin.ask("GET", "/v1/streams", expected=503, headers=stranger)
        late = await signed_in(admin)
        await late.ask("GET", "/v1/streams")
        await late.ask("POST", "/v1/operators", {"name": "Maria", "role": "viewer"}, 503)
        proxy.freezes_new = False
        proxy.freeze()
        await unknown.ask("GET", "/v1/streams")
        await late.ask("GET", "/v1/streams", expected=401)
