"""Operators and the audit log through the HTTP door of ops, and from the command line."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.administration import Admin, admin_on, operator, signed_in
from tests.command import environment, voketag
from tests.factory_floor import store_product
from tests.test_pages import HOSTILE
from voketag import events, identifiers
from voketag.records import reports


@pytest.fixture
async def admin(redis_url: str, database_url: str) -> AsyncIterator[Admin]:
    async with admin_on(redis_url, database_url) as opened:
        yield opened


async def log_of(admin: Admin, query: str = "") -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = (await admin.ask("GET", f"/v1/audit{query}"))["entries"]
    return entries


async def test_operators_are_made_listed_and_revoked(admin: Admin) -> None:
    ids = [(await operator(admin, "viewer", f"V{number}"))[1] for number in range(3)]
    first = await admin.ask("GET", "/v1/operators?limit=2")
    rest = await admin.ask("GET", f"/v1/operators?limit=2&cursor={first['next_cursor']}")
    listed = first["operators"] + rest["operators"]
    assert [one["operator_id"] for one in listed] == ids
    assert rest["next_cursor"] is None
    assert set(listed[0]) == {
        "operator_id",
        "name",
        "role",
        "prefix",
        "created_at",
        "revoked_at",
    }
    assert listed[0]["prefix"].startswith("vto_")


async def test_what_an_operator_cannot_be_called(admin: Admin) -> None:
    for name in ("", " a", "a ", "a\nb", "admin", "Admin", "cli", "a" * 101, 1):
        await admin.refused("POST", "/v1/operators", {"name": name, "role": "viewer"}, 422)


async def test_a_name_is_ones_own_for_as_long_as_it_is_in_use(admin: Admin) -> None:
    await admin.refused("POST", "/v1/operators", {"name": "M", "role": "owner"}, 422)
    _, operator_id = await operator(admin, "viewer", "Maria")
    again = {"name": "MARIA", "role": "admin"}
    assert (await admin.refused("POST", "/v1/operators", again, 409))[0] == "name_used"
    await admin.ask("DELETE", f"/v1/operators/{operator_id}", expected=204)
    await admin.ask("POST", "/v1/operators", again, 201)


async def test_a_viewer_is_told_no_e_mail_address(admin: Admin) -> None:
    factory = await admin.factory()
    viewer, _ = await operator(admin, "viewer")
    analyst, _ = await operator(admin, "analyst")
    one = f"/v1/factories/{factory['factory_id']}"
    for who, email in ((viewer, None), (analyst, "erp@factory.example")):
        assert (await who.ask("GET", one))["email"] == email
        (listed,) = (await who.ask("GET", "/v1/factories"))["factories"]
        assert listed["email"] == email


async def test_who_may_not_is_told_which_role_is_needed(admin: Admin) -> None:
    viewer, _ = await operator(admin, "viewer", "Vera")
    for path, needed in (("/v1/reports", "analyst"), ("/v1/audit", "admin")):
        code, detail = await viewer.refused("GET", path, None, 403)
        assert code == "forbidden"
        assert f"role {needed}" in detail


# ---------------------------------------------------------------------- the audit log


async def test_every_change_is_in_the_log_with_who_made_it(admin: Admin) -> None:
    maria, maria_id = await operator(admin, "admin", "Maria")
    inside = await signed_in(maria)
    factory = await inside.factory("Acme", "acme@acme.example")
    factory_id = factory["factory_id"]
    key = await inside.ask("POST", f"/v1/factories/{factory_id}/keys", {}, 201)
    for _ in range(2):
        await inside.ask("DELETE", f"/v1/keys/{key['key_id']}", expected=204)
    report = await _report(admin)
    change = {"status": "confirmed", "note": "rang the shop's owner, Joana"}
    await inside.ask("PATCH", f"/v1/reports/{report}", change)
    await inside.ask("DELETE", "/v1/session", expected=204)
    await admin.ask("DELETE", f"/v1/operators/{maria_id}", expected=204)

    entries = (await log_of(admin))[::-1]
    said = [(one["actor"], one["role"], one["action"], one["target"]) for one in entries]
    session_id = entries[1]["target"]
    assert said == [
        ("admin", "admin", "operator.create", maria_id),
        ("Maria", "admin", "session.sign_in", session_id),
        ("Maria", "admin", "factory.create", factory_id),
        ("Maria", "admin", "key.create", key["key_id"]),
        ("Maria", "admin", "key.revoke", key["key_id"]),  # once, however often it is said
        ("Maria", "admin", "report.change", report),
        ("Maria", "admin", "session.sign_out", session_id),
        ("admin", "admin", "operator.revoke", maria_id),
    ]
    details = [one["detail"] for one in entries]
    assert details[0] == {"name": "Maria", "role": "admin"}
    assert details[3] == {"factory_id": factory_id, "expires_at": None}
    assert details[5] == {"status": {"from": "new", "to": "confirmed"}, "note_given": True}
    assert {one["operator_id"] for one in entries} == {None, maria_id}
    for secret in (factory["api_key"], key["api_key"], "acme@", "Joana", "erp@"):
        assert secret not in str(entries)


async def _report(admin: Admin) -> str:
    product = await store_product(admin.wires)
    report_id = identifiers.new_id()
    async with admin.wires.database.connection() as connection:
        await reports.insert_report(
            connection, report_id, product.product_id, None, "stolen", None, None, b"a" * 16
        )
    return str(report_id)


async def test_the_log_is_paged_and_filtered(admin: Admin) -> None:
    maria, _ = await operator(admin, "admin", "Maria")
    for number in range(3):
        await maria.factory("F", f"f{number}@f.example")
    page = await admin.ask("GET", "/v1/audit?limit=3")
    rest = await admin.ask("GET", f"/v1/audit?limit=3&cursor={page['next_cursor']}")
    ids = [one["audit_id"] for one in page["entries"] + rest["entries"]]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == 4
    assert rest["next_cursor"] is None
    assert len(await log_of(admin, "?actor=Maria")) == 3
    assert len(await log_of(admin, "?action=operator.create")) == 1
    assert await log_of(admin, "?actor=Maria&action=operator.create") == []
    assert await log_of(admin, "?actor=nobody") == []
    await admin.refused("GET", "/v1/audit?action=world.end", None, 422)
    await admin.refused("GET", "/v1/audit?cursor=x", None, 422)


async def test_a_dead_letter_that_is_dropped_is_in_the_log_and_one_that_was_gone_is_not(
    admin: Admin,
) -> None:
    streams, stream = admin.wires.streams, events.ROOTS
    await streams.publish(stream, {"v": b"1"})
    await streams.ensure_group(stream, "anchor")
    (entry,) = await streams.read(stream, "anchor", pending=False, count=1)
    assert await streams.own(stream, "anchor", 60_000)
    await streams.bury("anchor", entry, "of no use", 1)
    (letter,) = (await admin.ask("GET", "/v1/dead"))["letters"]
    body = {"entry_ids": [letter["entry_id"]], "dry_run": False, "reason": "old"}
    for _ in range(2):
        await admin.ask("POST", f"/v1/dead/{stream}/drop", body)
    (line,) = await log_of(admin)
    assert (line["action"], line["detail"]) == ("dead_letter.drop", {"reason": "old"})
    assert line["target"] == f"{stream} {letter['entry_id']}"


async def test_a_hostile_name_is_data(admin: Admin) -> None:
    for name in HOSTILE:
        await operator(admin, "viewer", name)
        assert (await log_of(admin))[0]["detail"]["name"] == name


# ---------------------------------------------------------------------- the command line


async def test_the_command_line_makes_an_operator(
    admin: Admin, tmp_path: Path, database_url: str
) -> None:
    environ = environment(tmp_path, {"VOKETAG_DATABASE_URL": database_url})
    create = ("operator", "create", "Maria", "analyst")
    made = json.loads((await voketag(*create, "--json", environ=environ)).out)
    headers = {"Authorization": f"Bearer {made['api_key']}"}
    told = await admin.ask("GET", "/v1/session", headers=headers)
    assert (told["name"], told["role"]) == ("Maria", "analyst")
    again = await voketag(*create, environ=environ)
    assert (again.status, "exists already" in again.err) == (1, True)
    shown = await voketag("operator", "create", "Jo", "viewer", environ=environ)
    assert "api_key      vto_" in shown.out
    assert (await voketag("operator", "create", "X", "owner", environ=environ)).status == 2
    assert (await voketag("operator", "create", "cli", "viewer", environ=environ)).status == 1
    assert {line["actor"] for line in await log_of(admin)} == {"cli"}
