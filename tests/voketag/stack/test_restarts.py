"""Rolling restarts of `voketag run`: asked for by a signal or a file, and what comes between."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.servers import eventually
from tests.two_workers import alive, announced, recorded, running, start, words
from voketag.stack import restarts
from voketag.stack.home import StackError


async def test_f9_sighup_replaces_the_programs_one_by_one(place: Path) -> None:
    home = place / "home"
    async with running(place, home) as (process, environment):
        before = {left.pid for left in recorded(home)}
        process.send_signal(signal.SIGHUP)
        assert process.stderr is not None
        for name in (b"one", b"two"):
            line = await asyncio.wait_for(process.stderr.readline(), 20)
            assert line.startswith(name + b" was replaced")
        assert await words(environment, "left") == [b"one", b"two"]
        process.terminate()
        _, errors = await process.communicate()
        assert (process.returncode, errors) == (0, b"")
        assert not any(map(psutil.pid_exists, before))


async def test_f9_a_version_that_does_not_start_does_not_spread(place: Path) -> None:
    home = place / "home"
    async with running(place, home) as (_, environment):
        before = {left.pid for left in recorded(home)}
        good = (place / "worker.py").read_text()
        (place / "worker.py").write_text("raise SystemExit(3)")
        told = restarts.ask(home, [])
        assert await anext(told) == {"names": ["one", "two"]}
        assert "one was not replaced" in (await anext(told))["error"]
        await told.aclose()
        assert {left.pid for left in recorded(home)} == before
        (place / "worker.py").write_text(good)
        told = restarts.ask(home, ["two"])
        assert await anext(told) == {"names": ["two"]}
        assert (await anext(told))["name"] == "two"
        await told.aclose()
        assert await words(environment, "left") == [b"two"]
        assert not list((home / "restarts").iterdir())
        (stranger,) = [line async for line in restarts.ask(home, ["three"])]
        assert stranger == {"error": "There is no program three; there are one, two."}


async def test_who_asks_hears_of_the_end_of_the_runner(place: Path) -> None:
    home = place / "home"
    async with running(place, home) as (process, _):
        (place / "worker.py").write_text("import time; time.sleep(600)")  # is never ready
        told = restarts.ask(home, [])
        await anext(told)
        processes = recorded(home)
        process.kill()
        with pytest.raises(StackError, match="has ended"):
            await anext(told)
        await process.wait()
        await eventually(lambda: not alive(processes))
    with pytest.raises(StackError, match="No VokeTag runs"):
        await anext(restarts.ask(home, []))


async def test_a_terminal_that_has_gone_stops_everything(place: Path) -> None:
    master, slave = os.openpty()
    process = await start(place, place / "home", stdin=slave)
    os.close(slave)
    try:
        await announced(process)
        os.close(master)
        process.send_signal(signal.SIGHUP)
        _, errors = await asyncio.wait_for(process.communicate(), 20)
        assert (process.returncode, errors) == (0, b"")
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
