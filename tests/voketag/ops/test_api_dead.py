"""Dead letters through the HTTP door of ops: seen, put back once, thrown away, written down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest

from consumers import persist
from tests.administration import Admin, admin_on
from tests.cutting_proxy import cutting_proxy
from tests.factory_floor import running, until
from tests.servers import Servers
from voketag import events, identifiers
from voketag.events import Assessment, BatchAccepted, HistorySummary, Product, Scan, ScoredScan
from voketag.ops import api_dead

STREAM = events.batches(0)
SCANS = events.scans(1)
Fields = dict[str, bytes]


@pytest.fixture
async def admin(redis_url: str, database_url: str) -> AsyncIterator[Admin]:
    async with admin_on(redis_url, database_url) as opened:
        yield opened


async def bury(admin: Admin, fields: Fields, stream: str = STREAM, group: str = "group") -> str:
    """Bury an entry as the consumer loop does; gives its id among the dead letters."""
    streams = admin.wires.streams
    await streams.ensure_group(stream, group)
    await streams.own(stream, group, 10_000)
    await streams.publish(stream, fields)
    (entry,) = await streams.read(stream, group, pending=False, count=1)
    await streams.bury(group, entry, "Rejected: this can never work", 5)
    await streams.disown(stream, group)
    return (await entries(admin, stream + events.DEAD_SUFFIX))[-1][0]


async def entries(admin: Admin, stream: str) -> list[tuple[str, Fields]]:
    found: Any = await admin.wires.streams.redis.xrange(stream)
    return [
        (entry_id.decode(), {name.decode(): value for name, value in fields.items()})
        for entry_id, fields in found
    ]


async def dead(admin: Admin, stream: str = STREAM) -> list[str]:
    return [entry_id for entry_id, _ in await entries(admin, stream + events.DEAD_SUFFIX)]


async def audit(admin: Admin) -> list[dict[str, Any]]:
    async with admin.wires.database.connection() as connection:
        rows = await connection.fetch("SELECT * FROM dead_letter_audit ORDER BY audit_id")
    return [dict(row) for row in rows]


async def act(
    admin: Admin, action: str, entry_ids: list[str] | None, stream: str = STREAM, **body: Any
) -> Any:
    chosen: dict[str, Any] = {"all": True} if entry_ids is None else {"entry_ids": entry_ids}
    path = f"/v1/dead/{quote(stream, safe='')}/{action}"
    return await admin.ask("POST", path, {"dry_run": False, **chosen, **body})


def outcomes(answer: Any) -> list[str]:
    return [entry["outcome"] for entry in answer["entries"]]


def batch() -> Fields:
    return events.encode(BatchAccepted(identifiers.new_id()))


# ---------------------------------------------------------------------- seen


async def test_each_stream_says_how_many_it_has_and_the_oldest(admin: Admin) -> None:
    ids = [await bury(admin, batch()) for _ in range(3)]
    other = await bury(admin, {"v": b"1", "event": b"\xff"}, SCANS)
    answer = await admin.ask("GET", "/v1/dead")
    streams = {item["stream"]: item for item in answer["streams"]}
    assert list(streams) == events.all_streams(admin.wires.settings.shards)
    assert (streams[STREAM]["dead"], streams[SCANS]["dead"]) == (3, 1)
    assert streams[events.ROOTS] == {"stream": events.ROOTS, "dead": 0, "oldest": None}
    oldest = streams[STREAM]["oldest"]
    assert (oldest["entry_id"], oldest["group"], oldest["attempts"]) == (ids[0], "group", "5")
    assert oldest["error"] == "Rejected: this can never work"
    assert [letter["entry_id"] for letter in answer["letters"]] == [other, *ids]
    assert answer["next_cursor"] is None


async def test_they_are_paged_through_stream_by_stream(admin: Admin) -> None:
    ids = [await bury(admin, batch(), stream) for stream in (SCANS, STREAM) for _ in range(3)]
    found: list[str] = []
    path = "/v1/dead?limit=2"
    cursor = None
    for _ in range(3):
        page = await admin.ask("GET", path + (f"&cursor={cursor}" if cursor else ""))
        found += [letter["entry_id"] for letter in page["letters"]]
        cursor = page["next_cursor"]
    assert cursor is None
    assert found == ids
    alone = await admin.ask("GET", f"/v1/dead?stream={quote(STREAM)}")
    assert [item["stream"] for item in alone["streams"]] == [STREAM]
    assert [letter["entry_id"] for letter in alone["letters"]] == ids[3:]


async def test_one_is_shown_whole_without_what_could_lead_to_a_person(admin: Admin) -> None:
    event = b'{"scan_id": "x", "ip_hash": "abcdef", "location": {"lat": 12.34, "lon": 1.0}}'
    fields = {"v": b"1", "event": event, "odd": b"\xff\x00", "deep": b"[" * 5000}
    entry_id = await bury(admin, fields, SCANS)
    for name in (quote(SCANS, safe=""), SCANS, SCANS + ":dead"):
        shown = await admin.ask("GET", f"/v1/dead/{name}/{entry_id}")
        assert shown["entry_id"] == entry_id
        assert shown["fields"] == {
            "v": 1,
            "event": {"scan_id": "x", "ip_hash": "[withheld]", "location": "[withheld]"},
            "odd": r"b'\xff\x00'",
            "deep": "[" * 5000,
        }


# ---------------------------------------------------------------------- put back


async def test_f28_nothing_is_done_before_it_was_shown(admin: Admin) -> None:
    entry_id = await bury(admin, batch())
    for action, outcome in (("redrive", "would_redrive"), ("drop", "would_drop")):
        answer = await admin.ask("POST", f"/v1/dead/{STREAM}/{action}", {"all": True})
        assert (answer["dry_run"], outcomes(answer), answer["remaining"]) == (True, [outcome], 1)
        assert answer["entries"][0]["letter"]["error"] == "Rejected: this can never work"
    assert await dead(admin) == [entry_id]
    assert await audit(admin) == []


async def test_f28_redriving_puts_back_the_same_bytes_once(admin: Admin) -> None:
    fields = batch() | {"more": b"\x00\xff"}
    entry_id = await bury(admin, fields)
    before = len(await entries(admin, STREAM))
    answer = await act(admin, "redrive", [entry_id], reason="mended")
    assert (outcomes(answer), answer["remaining"]) == (["redriven"], 0)
    again = await act(admin, "redrive", [entry_id, entry_id])
    assert outcomes(again) == ["gone"]
    alive = await entries(admin, STREAM)
    assert len(alive) == before + 1
    assert alive[-1] == (answer["entries"][0]["new_id"], fields)
    (row,) = await audit(admin)
    assert (row["stream"], row["entry_id"], row["action"]) == (STREAM, entry_id, "redrive")
    assert (row["reason"], row["via"]) == ("mended", "api")


async def test_f28_two_operators_at_once_redrive_an_entry_once(admin: Admin) -> None:
    ids = [await bury(admin, batch()) for _ in range(5)]
    before = len(await entries(admin, STREAM))
    answers = await asyncio.gather(*(act(admin, "redrive", ids) for _ in range(4)))
    for n in range(len(ids)):
        told = sorted(outcomes(answer)[n] for answer in answers)
        assert told == ["gone", "gone", "gone", "redriven"]
    assert len(await entries(admin, STREAM)) == before + len(ids)
    assert [row["entry_id"] for row in await audit(admin)] == ids


async def test_f28_a_redrive_whose_reply_is_lost_happens_once(
    admin: Admin, redis_url: str, database_url: str
) -> None:
    entry_id = await bury(admin, batch())
    before = len(await entries(admin, STREAM))
    async with (
        cutting_proxy(redis_url) as (proxy, url),
        admin_on(url, database_url) as cut,
    ):
        proxy.lose_reply_to = b"redis.call('XADD'"
        body = {"entry_ids": [entry_id], "dry_run": False}
        code, _ = await cut.refused("POST", f"/v1/dead/{STREAM}/redrive", body, 503)
        assert (code, proxy.cuts) == ("unavailable", 1)
        assert outcomes(await act(cut, "redrive", [entry_id])) == ["gone"]
    assert len(await entries(admin, STREAM)) == before + 1
    assert len(await audit(admin)) == 1


async def test_f28_what_was_done_is_told_though_a_server_goes_away(
    admin: Admin, redis_url: str, database_url: str
) -> None:
    ids = [await bury(admin, batch()) for _ in range(3)]
    async with (
        cutting_proxy(redis_url) as (proxy, url),
        admin_on(url, database_url) as cut,
    ):
        proxy.lose_reply_to = ids[1].encode()
        answer = await act(cut, "redrive", ids)
        assert (outcomes(answer), answer["remaining"]) == (["redriven", "unknown"], 2)
        assert outcomes(await act(cut, "redrive", ids)) == ["gone", "redriven", "redriven"]
    assert await dead(admin) == []


def a_scored_scan() -> ScoredScan:
    product = Product(
        identifiers.new_id(), identifiers.new_id(), identifiers.new_id(), "S", "N", "1"
    )
    now_ms = time.time_ns() // 1_000_000
    scan = Scan(identifiers.new_id(), product.product_id, now_ms, "0a", "0b")
    history = HistorySummary(1, now_ms, ())
    return ScoredScan(scan, Assessment("authentic", 0), product, history, first_of_day=True)


async def counted(admin: Admin, factory_id: UUID) -> tuple[int, int]:
    """The scans that are stored, and those that the statistics count."""
    async with admin.wires.database.connection() as connection:
        stored = await connection.fetchval("SELECT count(*) FROM scan_events")
        scans = await connection.fetchval(
            "SELECT coalesce(sum(scans), 0) FROM scan_stats_daily WHERE factory_id = $1", factory_id
        )
    return int(stored), int(scans)


async def test_f28_redriving_what_had_been_handled_after_all_changes_nothing(
    admin: Admin,
) -> None:
    scored = a_scored_scan()
    assert scored.product is not None
    factory_id = scored.product.factory_id
    shard = events.shard_of(scored.scan.product_id, admin.wires.settings.shards)
    stream, fields = events.scored(shard), events.encode(scored)
    entry_id = await bury(admin, fields, stream, "persist")
    await admin.wires.streams.publish(stream, fields)

    async def finished(entries_read: int) -> bool:
        (group,) = await admin.wires.streams.redis.xinfo_groups(stream)
        return (group["entries-read"], group["lag"], group["pending"]) == (entries_read, 0, 0)

    async with running(admin.wires, persist.build(admin.wires)):
        await until(lambda: finished(2), "the scan stored")
        assert await counted(admin, factory_id) == (1, 1)
        answer = await act(admin, "redrive", [entry_id], stream)
        assert outcomes(answer) == ["redriven"]
        await until(lambda: finished(3), "the redriven entry handled")
    assert await counted(admin, factory_id) == (1, 1)
    assert await dead(admin, stream) == []


# ---------------------------------------------------------------------- many, and thrown away


async def test_all_of_a_large_stream_goes_in_bounded_calls(
    admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_dead, "ALL_MAX", 3)
    ids = [await bury(admin, batch()) for _ in range(5)]
    await bury(admin, batch(), SCANS)
    shown = await act(admin, "drop", None, dry_run=True)
    assert (outcomes(shown), shown["remaining"]) == (["would_drop"] * 3, 5)
    first = await act(admin, "drop", None)
    assert [entry["entry_id"] for entry in first["entries"]] == ids[:3]
    assert first["remaining"] == 2
    monkeypatch.setattr(api_dead, "ALL_FOR_S", 0.0)
    second = await act(admin, "drop", None)
    assert (outcomes(second), second["remaining"]) == (["dropped"], 1)
    third = await act(admin, "drop", None)
    assert (outcomes(third), third["remaining"]) == (["dropped"], 0)
    assert (await act(admin, "drop", None))["entries"] == []
    assert [(row["entry_id"], row["via"]) for row in await audit(admin)] == [
        (entry_id, "api") for entry_id in ids
    ]
    assert len(await dead(admin, SCANS)) == 1


async def test_nothing_is_done_without_a_database_to_write_it_down(
    admin: Admin, servers: Servers
) -> None:
    entry_id = await bury(admin, batch())
    await servers.stop("postgres")
    body = {"all": True, "dry_run": False}
    code, _ = await admin.refused("POST", f"/v1/dead/{STREAM}/drop", body, 503)
    assert code == "unavailable"
    assert await dead(admin) == [entry_id]
    await servers.start("postgres")


# ---------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "said"),
    [
        ("GET", "?stream=nonsense", None, 422, "invalid_field", "there are scans:{0}"),
        ("GET", "?cursor=nonsense", None, 422, "invalid_field", "next_cursor"),
        ("GET", "?cursor=cm9vdHMgMS0x&stream=notices", None, 422, "invalid_field", "next_cursor"),
        ("GET", "?limit=0", None, 422, "invalid_parameter", "limit"),
        ("GET", "/nonsense/1-1", None, 404, "not_found", "There is no stream nonsense"),
        ("GET", f"/{STREAM}/nonsense", None, 404, "not_found", "Not Found"),
        ("GET", f"/{STREAM}/drop", None, 405, "method_not_allowed", "POST"),
        ("GET", f"/{STREAM}/1-99999999999999999999", None, 404, "not_found", "no dead letter"),
        ("POST", "/nonsense/drop", {"all": True}, 404, "not_found", "There is no stream"),
        ("POST", "/roots/drop", {}, 422, "invalid_field", "is needed"),
        ("POST", "/roots/drop", {"all": False}, 422, "invalid_field", "is needed"),
        ("POST", "/roots/drop", {"all": True, "entry_ids": ["1-1"]}, 422, "invalid_field", "need"),
        ("POST", "/roots/drop", {"entry_ids": []}, 422, "invalid_field", "length >= 1"),
        ("POST", "/roots/drop", {"entry_ids": ["x"]}, 422, "invalid_field", "two numbers"),
        ("POST", "/roots/drop", {"entry_ids": ["1-1"] * 101}, 422, "invalid_field", "<= 100"),
        ("POST", "/roots/drop", {"all": True, "reason": "a\0"}, 422, "invalid_field", "Printable"),
    ],
)
async def test_what_it_refuses(
    admin: Admin, method: str, path: str, body: Any, status: int, code: str, said: str
) -> None:
    found, detail = await admin.refused(method, f"/v1/dead{path}", body, status)
    assert found == code
    assert said in detail


async def test_the_admin_key_is_needed(admin: Admin) -> None:
    for method, path in (("GET", ""), ("GET", "/roots/1-1"), ("POST", "/roots/redrive")):
        await admin.ask(method, f"/v1/dead{path}", expected=401, headers={})
