"""`voketag dead`: seen, put back once, thrown away, and written down."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from tests.command import Finished, environment, voketag
from tests.servers import eventually
from tests.terminal import CTRL_C, terminal
from voketag import events, identifiers
from voketag.events import BatchAccepted
from voketag.redis.streams import Entry, Streams

STREAM = events.batches(0)
SCANS = events.scans(1)


class World:
    """A Redis with dead letters and a database for the audit."""

    def __init__(self, home: Path, redis_url: str, database_url: str, streams: Streams) -> None:
        urls = {"VOKETAG_REDIS_URL": redis_url, "VOKETAG_DATABASE_URL": database_url}
        self.environ = environment(home, urls)
        self.database_url = database_url
        self.streams = streams

    async def run(self, *arguments: str, stdin: bytes | None = None) -> Finished:
        return await voketag("dead", *arguments, environ=self.environ, stdin=stdin)

    async def bury(self, fields: dict[str, bytes], stream: str = STREAM) -> str:
        """Bury an entry as the consumer loop does; gives its id among the dead letters."""
        streams = self.streams
        await streams.ensure_group(stream, "group")
        await streams.own(stream, "group", 10_000)
        await streams.publish(stream, fields)
        (entry,) = await streams.read(stream, "group", pending=False, count=1)
        await streams.bury("group", entry, "Rejected: this can never work", 5)
        return (await self.dead(stream))[-1][0]

    async def dead(self, stream: str = STREAM) -> list[tuple[str, dict[bytes, bytes]]]:
        return await self._entries(stream + events.DEAD_SUFFIX)

    async def alive(self, stream: str = STREAM) -> list[tuple[str, dict[bytes, bytes]]]:
        return await self._entries(stream)

    async def _entries(self, stream: str) -> list[tuple[str, dict[bytes, bytes]]]:
        found: Any = await self.streams.redis.xrange(stream)
        return [(entry_id.decode(), fields) for entry_id, fields in found]

    async def audit(self) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.database_url)
        try:
            return list(await connection.fetch("SELECT * FROM dead_letter_audit ORDER BY audit_id"))
        finally:
            await connection.close()


@pytest.fixture
async def world(tmp_path: Path, redis_url: str, database_url: str) -> Any:
    streams = Streams(redis_url, "a-test")
    yield World(tmp_path, redis_url, database_url, streams)
    await streams.close()


def batch() -> dict[str, bytes]:
    return events.encode(BatchAccepted(identifiers.new_id()))


async def test_nothing_given_up(world: World) -> None:
    found = await world.run("list")
    assert (found.status, found.out) == (0, "There are no dead letters.\n")


async def test_list_and_show(world: World) -> None:
    fields = batch()
    entry_id = await world.bury(fields)
    await world.bury({"v": b"1", "event": b"\xff not json"}, SCANS)
    found = await world.run("list")
    assert found.status == 0
    assert f"{STREAM}: 1" in found.out
    assert f"{SCANS}: 1" in found.out
    assert entry_id in found.out
    assert "this can never work" in found.out
    shown = await world.run("show", STREAM, entry_id)
    assert shown.status == 0
    assert "tried 5 times" in shown.out
    batch_id = msgspec.json.decode(fields["event"])["batch_id"]
    assert f'"batch_id": "{batch_id}"' in shown.out
    other = (await world.dead(SCANS))[0][0]
    assert r"\xff not json" in (await world.run("show", SCANS, other)).out


async def test_show_withholds_what_could_lead_to_a_person(world: World) -> None:
    event = b'{"scan_id": "x", "ip_hash": "abcdef", "location": {"lat": 12.34, "lon": 1.0}}'
    entry_id = await world.bury({"v": b"1", "event": event}, SCANS)
    shown = (await world.run("show", SCANS, entry_id)).out
    assert "[withheld]" in shown
    assert "abcdef" not in shown
    assert "12.34" not in shown


async def test_redrive_puts_back_the_same_bytes_once(world: World) -> None:
    fields = batch() | {"more": b"\x00\xff"}
    entry_id = await world.bury(fields)
    before = len(await world.alive())
    found = await world.run("redrive", STREAM, entry_id, "--yes", "--reason", "mended")
    assert found.status == 0, found.err
    assert await world.dead() == []
    alive = await world.alive()
    assert len(alive) == before + 1
    assert alive[-1][1] == {name.encode(): value for name, value in fields.items()}
    (row,) = await world.audit()
    assert (row["stream"], row["entry_id"], row["action"]) == (STREAM, entry_id, "redrive")
    assert row["reason"] == "mended"
    kept = msgspec.json.decode(row["event"])
    assert kept["event"].encode() == fields["event"]
    assert base64.b64decode(kept["more"]["base64"]) == fields["more"]
    again = await world.run("redrive", STREAM, entry_id, "--yes")
    assert again.status == 1
    assert "has no entry" in again.err
    assert len(await world.alive()) == before + 1


async def test_two_at_once_redrive_an_entry_once(world: World) -> None:
    entry_id = await world.bury(batch())
    before = len(await world.alive())
    runs = (world.run("redrive", STREAM, entry_id, "--yes") for _ in range(4))
    found = await asyncio.gather(*runs)
    assert sorted(one.status for one in found) == [0, 1, 1, 1]
    assert len(await world.alive()) == before + 1
    assert len(await world.audit()) == 1  # who came too late has taken the row back


async def test_a_dry_run_shows_and_does_nothing(world: World) -> None:
    entry_id = await world.bury(batch())
    for action in ("redrive", "drop"):
        found = await world.run(action, STREAM, "--all", "--dry-run")
        assert found.status == 0
        assert entry_id in found.out
        assert f"Would {action} 1 entry" in found.out
    assert len(await world.dead()) == 1
    assert await world.audit() == []


async def test_it_asks_first(world: World) -> None:
    await world.bury(batch())
    refused = await world.run("drop", STREAM, "--all", stdin=b"n\n")
    assert refused.status == 1
    assert "Nothing was done" in refused.out
    assert len(await world.dead()) == 1
    agreed = await world.run("drop", STREAM, "--all", stdin=b"y\n")
    assert agreed.status == 0
    assert await world.dead() == []
    assert [row["action"] for row in await world.audit()] == ["drop"]


@pytest.mark.parametrize(("keys", "status"), [(CTRL_C, 130), (b"no\r", 1), (b"\x04", 1)])
async def test_who_is_asked_can_leave(world: World, keys: bytes, status: int) -> None:
    await world.bury(batch())
    async with terminal("dead", "drop", STREAM, "--all", environ=world.environ) as shown:
        await eventually(lambda: f"Drop 1 entry of {STREAM}? [y/N]" in shown.output)
        shown.type(keys)
        assert await shown.ended() == status
    assert len(await world.dead()) == 1
    assert await world.audit() == []


async def test_nobody_is_there_to_be_asked(world: World) -> None:
    await world.bury(batch())
    found = await world.run("drop", STREAM, "--all", stdin=b"")
    assert (found.status, len(await world.dead())) == (1, 1)
    assert "--yes does it without asking" in found.out


async def test_list_and_show_as_json(world: World) -> None:
    ids = [await world.bury(batch()) for _ in range(3)]
    listed = await world.run("list", "--count", "2", "--json")
    letters = [msgspec.json.decode(line) for line in listed.out.splitlines()]
    assert [letter["entry_id"] for letter in letters] == ids[:2]
    assert {letter["stream"] for letter in letters} == {STREAM}
    shown = msgspec.json.decode((await world.run("show", STREAM, ids[2], "--json")).out)
    assert (shown["entry_id"], shown["attempts"]) == (ids[2], "5")
    assert "batch_id" in shown["fields"]["event"]
    listed = await world.run("list", "--count", "2")
    assert "… and 1 younger ones; see --count" in listed.out


async def test_what_would_steer_the_terminal_is_written_out(world: World) -> None:
    entry_id = await world.bury({"v": b"1", "event": b'"\xc2\x9b2J"', "\x1b[2J": b"\x1b[2J"})
    for arguments in (("list",), ("show", STREAM, entry_id)):
        found = await world.run(*arguments)
        assert found.status == 0
        assert not {"\x1b", "\x9b"} & set(found.out)


async def test_all_of_a_stream_and_nothing_else(world: World) -> None:
    for _ in range(3):
        await world.bury(batch())
    await world.bury(batch(), SCANS)
    # The name of the dead-letter stream itself is taken for the stream's.
    found = await world.run("drop", STREAM + ":dead", "--all", "--yes")
    assert found.status == 0
    assert await world.dead() == []
    assert len(await world.dead(SCANS)) == 1
    assert len(await world.audit()) == 3


async def test_a_redriven_entry_reaches_its_group_again(world: World) -> None:
    fields = batch()
    entry_id = await world.bury(fields)
    assert (await world.run("redrive", STREAM, entry_id, "--yes")).status == 0
    entries = await world.streams.read(STREAM, "group", pending=False, count=10)
    assert [entry.fields for entry in entries] == [fields]
    assert isinstance(entries[0], Entry)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("redrive", STREAM), 2, "--all"),
        (("drop", STREAM, "1-1", "--all"), 2, "--all"),
        (("show", "nonsense", "1-1"), 1, "There is no stream nonsense; there are scans:{0}"),
        (("show", STREAM, "nonsense"), 1, "has no entry nonsense"),
        (("drop", STREAM, "1-1", "--yes"), 1, "has no entry 1-1"),
        (("list", "--count", "0"), 2, "--count"),
    ],
)
async def test_what_it_refuses(
    world: World, arguments: tuple[str, ...], status: int, said: str
) -> None:
    found = await world.run(*arguments)
    assert found.status == status
    assert said in found.err
    assert "Traceback" not in found.err


async def test_nothing_is_done_without_a_database_to_write_it_down(world: World) -> None:
    await world.bury(batch())
    world.environ["VOKETAG_DATABASE_URL"] = "postgresql://127.0.0.1:1/none"
    found = await world.run("drop", STREAM, "--all", "--yes")
    assert found.status == 1
    assert "postgres" in found.err
    assert len(await world.dead()) == 1
