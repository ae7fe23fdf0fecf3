"""`voketag streams`: once, as lines, and on a terminal that is left as it was."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.command import COMMAND, environment, voketag
from tests.terminal import CTRL_C, terminal
from voketag import events, identifiers
from voketag.events import RootReady
from voketag.redis.streams import Streams

ENTERED, LEFT = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
NOWHERE = {"VOKETAG_REDIS_URL": "redis://127.0.0.1:1/0"}
LINE_TIMEOUT_S = 20.0


@pytest.fixture
async def streams(redis_url: str) -> AsyncIterator[Streams]:
    opened = Streams(redis_url, "a-test")
    yield opened
    await opened.close()


@pytest.fixture
def environ(tmp_path: Path, redis_url: str) -> dict[str, str]:
    found = environment(tmp_path, {"VOKETAG_REDIS_URL": redis_url})
    return {name: value for name, value in found.items() if name not in ("NO_COLOR", "TERM")}


async def root(streams: Streams, stream: str = events.ROOTS) -> None:
    await streams.publish(stream, events.encode(RootReady(identifiers.new_id(), "0x01")))


async def test_once(environ: dict[str, str], streams: Streams) -> None:
    await root(streams)
    await root(streams, events.scans(0) + events.DEAD_SUFFIX)
    await streams.ensure_group(events.scans(0), "score")
    await streams.redis.xgroup_create(events.NOTICES, "\x1b[31mevil", mkstream=True)
    found = await voketag("streams", "--once", environ=environ)
    assert (found.status, found.err) == (0, "")
    assert "\x1b" not in found.out
    rows = {line.split()[0]: line for line in found.out.splitlines() if line.strip()}
    assert rows["STREAM"].split()[-1] == "STATE"
    scans = rows[events.scans(0)].split(maxsplit=8)
    assert scans[1:8] == ["0", "1", "score", "0", "0", "-", "0"]
    assert scans[8] == "DEAD LETTERS, NO PROCESS"
    roots = rows["roots"].split(maxsplit=8)
    assert roots[1:6] == ["1", "0", "anchor", "unknown", "0"]  # no group there: no lag is known
    assert roots[6].endswith("s")
    (stranger,) = [line for line in found.out.splitlines() if r"\x1b[31mevil" in line]
    assert stranger.endswith("STRANGER")
    assert "accepted 0.0/s" in found.out
    assert "Something is wrong" in found.out


async def test_once_as_json(environ: dict[str, str], streams: Streams) -> None:
    await root(streams)
    found = await voketag("streams", "--once", "--json", environ=environ)
    view = json.loads(found.out)
    by_name = {stream["stream"]: stream for stream in view["streams"]}
    assert set(by_name) == set(events.all_streams(2))
    (group,) = by_name["roots"]["groups"]
    assert (group["group"], group["lag"], group["consumers"]) == ("anchor", None, 0)
    assert group["wrong"] == ["no process"]
    assert view["per_second"] == {"accepted": 0.0, "scored": 0.0, "stored": 0.0}


async def test_lines_follow_one_another_with_rates(
    environ: dict[str, str], streams: Streams
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, "streams", "--json", "--every", "0.1"),
        env=environ | {"PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(LINE_TIMEOUT_S):
            first = json.loads(await process.stdout.readline())
            assert first["per_second"]["accepted"] is None  # there is nothing to compare with
            accepted = 0.0
            while not accepted:
                await root(streams, events.scans(1))
                accepted = json.loads(await process.stdout.readline())["per_second"]["accepted"]
    finally:
        process.kill()
        await process.wait()


async def test_redis_is_away(environ: dict[str, str]) -> None:
    found = await voketag("streams", "--once", environ=environ | NOWHERE)
    assert (found.status, found.out) == (1, "")
    assert found.err.startswith("voketag: redis: ")
    async with terminal("streams", environ=environ | NOWHERE) as shown:
        await shown.shows("REDIS DOES NOT ANSWER")


@pytest.mark.parametrize("ending", [CTRL_C, b"q"])
async def test_a_terminal_is_drawn_on_and_left_as_it_was(
    environ: dict[str, str], streams: Streams, ending: bytes
) -> None:
    async with terminal("streams", "--every", "0.2", environ=environ) as shown:
        before = shown.modes
        await shown.shows("NO PROCESS")
        assert "\x1b[31m" in shown.output  # what is wrong is red as well
        assert shown.output.startswith(ENTERED)
        assert shown.modes != before
        await root(streams, events.scans(1) + events.DEAD_SUFFIX)
        await shown.shows("DEAD LETTERS")
        shown.resize(60, 8)
        await shown.shows("more do not fit")
        lines = shown.screen.replace("\x1b[K", "").replace("\x1b[J", "").split("\r\n")
        assert len(lines) <= 8
        assert max(map(len, lines)) <= 60
        assert "DEAD LETTERS" in shown.screen  # what is wrong comes first
        shown.type(ending)
        assert await shown.ended() == (130 if ending == CTRL_C else 0)
        await shown.shows(LEFT)
        assert shown.modes == before


async def test_a_terminal_without_colour(environ: dict[str, str]) -> None:
    async with terminal("streams", environ=environ | {"NO_COLOR": "1"}) as shown:
        await shown.shows("NO PROCESS")
        assert "\x1b[31m" not in shown.output


async def test_a_terminal_that_cannot_be_drawn_on(environ: dict[str, str]) -> None:
    async with terminal("streams", environ=environ | {"TERM": "dumb"}) as shown:
        await shown.shows("NO PROCESS")
        assert "\x1b" not in shown.output


@pytest.mark.parametrize(("option", "value"), [("--every", "0"), ("--every", "soon")])
async def test_what_it_refuses(environ: dict[str, str], option: str, value: str) -> None:
    found = await voketag("streams", option, value, environ=environ)
    assert (found.status, option in found.err) == (2, True)
