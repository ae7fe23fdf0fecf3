"""The command line: what it offers, what it creates, what it shows of the streams, what it says
where it cannot do what it was asked.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from tests.command import COMMAND, environment, voketag
from tests.servers import eventually
from tests.terminal import terminal
from voketag import events, identifiers, keys
from voketag.events import (
    Assessment,
    BatchAccepted,
    HistorySummary,
    Location,
    Notice,
    Reason,
    RootReady,
    Scan,
    ScoredScan,
)
from voketag.ops import instance
from voketag.records import factories
from voketag.redis.streams import Streams
from voketag.tasks import end

LINE_TIMEOUT_S = 20.0


async def test_help_names_every_command(tmp_path: Path) -> None:
    found = await voketag("--help", environ=environment(tmp_path))
    assert found.status == 0
    for command in ("run", "demo", "migrate", "factory", "operator"):
        assert f"\n  {command} " in found.out
    for command in ("verify", "tail", "streams", "dead"):
        assert f"\n  {command} " in found.out
    assert (await voketag("--version", environ=environment(tmp_path))).status == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("migrate",),
        ("tail",),
        ("streams",),
        ("dead", "list"),
        ("factory", "create", "Acme", "a@example.com"),
    ],
)
async def test_without_anything_to_talk_to(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    found = await voketag(*arguments, environ=environment(tmp_path / "nothing"))
    assert found.status == 1
    assert "voketag run" in found.err
    assert "Traceback" not in found.err
    assert not (tmp_path / "nothing").exists()


async def test_a_damaged_home_is_said(tmp_path: Path) -> None:
    (tmp_path / instance.FILE).write_text("{")
    found = await voketag("tail", environ=environment(tmp_path))
    assert (found.status, "is damaged" in found.err) == (1, True)


# ---------------------------------------------------------------------- Postgres


async def test_migrate_and_migrate_again(tmp_path: Path, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        environ = environment(tmp_path, {"VOKETAG_DATABASE_URL": database_url})
        for _ in range(2):
            found = await voketag("migrate", environ=environ)
            assert found.status == 0, found.err
            assert await connection.fetchval("SELECT count(*) FROM scan_events") == 0
    finally:
        await connection.close()


async def test_migrate_says_what_does_not_answer(tmp_path: Path) -> None:
    environ = environment(tmp_path, {"VOKETAG_DATABASE_URL": "postgresql://127.0.0.1:1/none"})
    found = await voketag("migrate", environ=environ)
    assert found.status == 1
    assert "VOKETAG_DATABASE_URL: no Postgres answers there" in found.err


async def test_create_a_factory(tmp_path: Path, database_url: str) -> None:
    environ = environment(tmp_path, {"VOKETAG_DATABASE_URL": database_url})
    create = ("factory", "create", "Acme", "orders@acme.example")
    found = await voketag(*create, "--json", environ=environ)
    assert found.status == 0, found.err
    created = json.loads(found.out)
    connection = await asyncpg.connect(database_url)
    try:
        now = identifiers.at_time(identifiers.new_id())
        key = keys.parse(created["api_key"])
        assert key is not None
        owner = await factories.factory_of_key(connection, keys.digest(key), now)
    finally:
        await connection.close()
    assert owner is not None
    assert (str(owner.factory_id), owner.state) == (created["factory_id"], "valid")
    again = await voketag(*create, environ=environ)
    assert again.status == 1
    assert "e-mail address exists already" in again.err


@pytest.mark.parametrize(
    ("name", "email", "said"),
    [
        ("", "a@example.com", "name"),
        ("x" * 256, "a@example.com", "name"),
        ("Acme", "nobody", "email"),
        ("Acme", "two words@example.com", "email"),
    ],
)
async def test_what_is_no_factory(
    tmp_path: Path, database_url: str, name: str, email: str, said: str
) -> None:
    environ = environment(tmp_path, {"VOKETAG_DATABASE_URL": database_url})
    found = await voketag("factory", "create", name, email, environ=environ)
    assert found.status == 1
    assert said in found.err.lower()
    assert "Traceback" not in found.err


# ---------------------------------------------------------------------- streams


def scored(verdict: events.Verdict = "suspicious") -> ScoredScan:
    scan = Scan(
        scan_id=identifiers.new_id(),
        product_id=identifiers.new_id(),
        received_at_ms=1,
        ip_hash="1234567890abcdef" * 2,
        fingerprint_hash="fedcba0987654321" * 2,
        country="BR",
        location=Location(-23.55, -46.63),
    )
    reasons = (Reason("many_devices", 40, "Scanned by 10 different devices."),)
    return ScoredScan(scan, Assessment(verdict, 40, reasons), history=HistorySummary(9, 1, ("BR",)))


@pytest.fixture
async def streams(redis_url: str) -> AsyncIterator[Streams]:
    opened = Streams(redis_url, "a-test")
    yield opened
    await opened.close()


async def fill(streams: Streams) -> ScoredScan:
    """One entry in a stream of each kind; gives the scored scan."""
    known = scored()
    batch_id = identifiers.new_id()
    notice = Notice(identifiers.new_id(), identifiers.new_id(), "batch.completed", batch_id, 1)
    await streams.publish(events.scans(1), events.encode(known.scan))
    await streams.publish(events.scored(1), events.encode(known))
    await streams.publish(events.batches(0), events.encode(BatchAccepted(batch_id)))
    await streams.publish(events.ROOTS, events.encode(RootReady(batch_id, "0x" + "11" * 32)))
    await streams.publish(events.NOTICES, events.encode(notice))
    return known


async def test_tail_shows_every_kind_without_personal_data(
    tmp_path: Path, redis_url: str, streams: Streams
) -> None:
    known = await fill(streams)
    environ = environment(tmp_path, {"VOKETAG_REDIS_URL": redis_url})
    for form in ((), ("--json",)):
        found = await voketag("tail", "--from-start", "--count", "5", *form, environ=environ)
        assert found.status == 0, found.err
        lines = found.out.splitlines()
        assert len(lines) == 5
        assert str(known.scan.scan_id) in found.out
        assert "batch.completed" in found.out
        for secret in (known.scan.ip_hash, known.scan.fingerprint_hash, "23.55", "46.63"):
            assert secret not in found.out
    records = [json.loads(line) for line in lines]
    (shown,) = [record for record in records if record["stream"] == events.scored(1)]
    assert (shown["verdict"], shown["score"], shown["country"]) == ("suspicious", 40, "BR")
    assert shown["reasons"] == ["many_devices"]


async def test_tail_shows_the_kinds_and_verdicts_asked_for(
    tmp_path: Path, redis_url: str, streams: Streams
) -> None:
    await fill(streams)
    for verdict in ("authentic", "high_risk", "authentic", "high_risk"):
        await streams.publish(events.scored(0), events.encode(scored(verdict)))
    environ = environment(tmp_path, {"VOKETAG_REDIS_URL": redis_url})
    tail = ("tail", "--from-start", "--json", "--count", "2")
    found = await voketag(*tail, "roots", "batches", environ=environ)
    kinds = {json.loads(line)["stream"] for line in found.out.splitlines()}
    assert kinds == {events.ROOTS, events.batches(0)}
    found = await voketag(*tail, "--verdict", "high_risk", environ=environ)
    verdicts = [json.loads(line)["verdict"] for line in found.out.splitlines()]
    assert verdicts == ["high_risk", "high_risk"]
    for named in (("scans",), ("scored", "scans")):
        again = await voketag(*tail, *named, "--verdict", "high_risk", environ=environ)
        assert again.out == found.out
    refused = await voketag(*tail, "scans", "roots", "--verdict", "high_risk", environ=environ)
    assert (refused.status, "roots have none" in refused.err) == (2, True)


async def test_tail_on_a_terminal_says_what_it_follows_and_has_colours(
    tmp_path: Path, redis_url: str, streams: Streams
) -> None:
    await streams.publish(events.scored(0), events.encode(scored("high_risk")))
    environ = environment(tmp_path, {"VOKETAG_REDIS_URL": redis_url})
    environ.pop("NO_COLOR", None)
    words = ("tail", "scans", "--verdict", "high_risk", "--from-start", "--count", "1")
    async with terminal(*words, environ=environ) as shown:
        assert await shown.ended() == 0
        await eventually(lambda: "verdict=high_risk\x1b[0m" in shown.output)
        assert "Following scored:{0}, scored:{1}; Ctrl-C ends." in shown.output
    async with terminal(*words, environ=environ | {"NO_COLOR": "1"}) as shown:
        assert await shown.ended() == 0
        await eventually(lambda: "verdict=high_risk" in shown.output)
        assert "\x1b" not in shown.output


async def test_tail_shows_what_it_cannot_read(
    tmp_path: Path, redis_url: str, streams: Streams
) -> None:
    await streams.publish(events.ROOTS, {"v": b"9", "event": b"{}"})
    environ = environment(tmp_path, {"VOKETAG_REDIS_URL": redis_url})
    found = await voketag("tail", "--from-start", "--count", "1", environ=environ)
    assert (found.status, "unreadable=" in found.out) == (0, True)


async def test_tail_follows_until_it_is_interrupted(
    tmp_path: Path, redis_url: str, streams: Streams
) -> None:
    await streams.publish(events.ROOTS, events.encode(RootReady(identifiers.new_id(), "0x00")))
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, "tail", "roots", "--json"),
        env=environment(tmp_path, {"VOKETAG_REDIS_URL": redis_url, "PYTHONUNBUFFERED": "1"}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    publishing = asyncio.create_task(_publish_again_and_again(streams))
    try:
        async with asyncio.timeout(LINE_TIMEOUT_S):
            line = await process.stdout.readline()
        # It began with what came after it: the entry that was there before is not shown.
        assert json.loads(line)["root"] == "0x01"
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(LINE_TIMEOUT_S):
            _, err = await process.communicate()
        assert (process.returncode, err) == (130, b"")
    finally:
        await end(publishing)
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _publish_again_and_again(streams: Streams) -> None:
    """Until cancelled: when a process in its start has begun to listen cannot be seen from here."""
    while True:
        await streams.publish(events.ROOTS, events.encode(RootReady(identifiers.new_id(), "0x01")))
        await asyncio.sleep(0.05)


async def test_a_reader_that_leaves_ends_tail_quietly(
    tmp_path: Path, redis_url: str, streams: Streams
) -> None:
    for _ in range(2000):
        await streams.publish(events.ROOTS, events.encode(RootReady(identifiers.new_id(), "0x01")))
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", '"$@" | head -n 1', "sh", *COMMAND, "tail", "roots", "--from-start"),
        env=environment(tmp_path, {"VOKETAG_REDIS_URL": redis_url}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(LINE_TIMEOUT_S):
        out, err = await process.communicate()
    assert out.count(b"\n") == 1
    assert b"Traceback" not in err


async def test_it_finds_the_running_instance_by_its_home(tmp_path: Path, redis_url: str) -> None:
    left = instance.announce(tmp_path, {"VOKETAG_SHARDS": "3"}, {"VOKETAG_REDIS_URL": redis_url})
    assert (tmp_path / instance.FILE).stat().st_mode & 0o777 == 0o600
    found = instance.find({"VOKETAG_HOME": str(tmp_path)})
    assert (found.running, found.redis_url, found.shards) == (True, redis_url, 3)
    given = instance.find({"VOKETAG_HOME": str(tmp_path), "VOKETAG_REDIS_URL": "redis://other"})
    assert given.redis_url == "redis://other"
    assert (await voketag("dead", "list", environ=environment(tmp_path))).status == 0
    instance.withdraw(tmp_path, left + "not ours")
    assert (tmp_path / instance.FILE).exists()
    instance.withdraw(tmp_path, left)
    assert not (tmp_path / instance.FILE).exists()


@pytest.mark.parametrize("shards", ["0", "257", "two"])
async def test_shards_that_cannot_be(tmp_path: Path, redis_url: str, shards: str) -> None:
    variables = {"VOKETAG_REDIS_URL": redis_url, "VOKETAG_SHARDS": shards}
    found = await voketag("dead", "list", environ=environment(tmp_path, variables))
    assert found.status == 1
    assert "whole number from 1 to 256" in found.err


def test_the_command_is_installed() -> None:
    assert os.access(Path(sys.executable).parent / "voketag", os.X_OK)
