"""The whole of `voketag run` as a process: stopped, killed, started twice, as root and not."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

import asyncpg
import psutil
import pytest

from tests.servers import binaries, eventually
from tests.two_workers import ROOT, alive, came, recorded, running, start, words
from voketag.stack.stack import Stack


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_the_programs_before_the_servers(
    place: Path, number: signal.Signals
) -> None:
    home = place / "home"
    async with running(place, home) as (process, environment):
        await eventually(lambda: came(environment))
        processes = recorded(home)
        assert len(processes) == 5
        process.send_signal(number)
        _, errors = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 0
        assert errors == b""
    assert not alive(processes)
    async with Stack(home, {}, binaries=binaries()) as stack:
        assert await words(stack.environment, "left") == [b"one", b"two"]


async def test_a_killed_parent_leaves_nothing_that_blocks_the_next_start(place: Path) -> None:
    home = place / "home"
    async with running(place, home) as (process, environment):
        await eventually(lambda: came(environment))
        connection = await asyncpg.connect(environment["VOKETAG_DATABASE_URL"])
        await connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
        processes = recorded(home)
        process.kill()
        await process.wait()
        connection.terminate()
        async with running(place, home) as (_, again):
            assert again == environment
            assert not alive(processes)
            connection = await asyncpg.connect(again["VOKETAG_DATABASE_URL"])
            assert await connection.fetchval("SELECT value FROM kept") == 7
            await connection.close()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends orphans on Linux alone")
async def test_a_killed_parent_leaves_no_orphans(place: Path) -> None:
    home = place / "home"
    async with running(place, home) as (process, _):
        processes = recorded(home)
        process.kill()
        await eventually(lambda: not alive(processes))


async def test_killing_every_process_at_once_does_not_block_the_next_start(place: Path) -> None:
    home = place / "home"
    async with running(place, home) as (process, _):
        for victim in (psutil.Process(process.pid), *recorded(home)):
            # Those that come later may have gone with the first.
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        await process.wait()
        async with running(place, home):
            pass


async def test_a_second_instance_says_so_and_exits(place: Path) -> None:
    home = place / "home"
    async with running(place, home) as (process, _):
        second = await start(place, home)
        _, errors = await second.communicate()
        assert second.returncode == 1
        assert f"in use by another VokeTag (pid {process.pid})" in errors.decode()
        assert len(errors.splitlines()) == 1


async def test_a_program_that_dies_comes_back(place: Path) -> None:
    home = place / "home"
    async with running(place, home) as (process, environment):
        await eventually(lambda: came(environment))
        os.kill(int((home / "pids" / "one").read_text().split()[0]), signal.SIGKILL)

        async def back() -> bool:
            return await words(environment, "came") == [b"one", b"one", b"two"]

        await eventually(back)
        process.terminate()
        _, errors = await process.communicate()
        assert errors == b"one died (signal 9), started again in 0.1 s\n"


async def test_a_signal_during_the_start_ends_it(place: Path) -> None:
    home = place / "home"
    process = await start(place, home)
    await eventually((home / "pids").exists)
    process.terminate()
    _, errors = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, errors) == (0, b"")
    assert not list((home / "pids").iterdir())


def hidden_from_others() -> bool:
    """Whether the interpreter or the clone is in a directory that is closed to other users."""
    paths = [Path(sys.executable), Path(sys.executable).resolve(), ROOT / "Procfile"]
    return any(not parent.stat().st_mode & 0o001 for path in paths for parent in path.parents)


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT RUN: only root can start it as another user")
async def test_a_plain_user_runs_it(place: Path) -> None:
    setpriv, nobody = shutil.which("setpriv"), pwd.getpwnam("nobody")
    assert setpriv is not None
    home = place / "home"
    home.mkdir(mode=0o700)
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    before = [setpriv, f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    if hidden_from_others():
        # A clone or an interpreter below /root: let it look, and no more.
        before += ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
        before += ["--securebits=+no_setuid_fixup"]
    else:
        before += ["--inh-caps=-all"]
    async with running(place, home, *before, "--") as (process, environment):
        await eventually(lambda: came(environment))
        assert {left.uids().real for left in recorded(home)} == {nobody.pw_uid}
        process.terminate()
        await process.communicate()
        assert process.returncode == 0
    # Root goes on with what the plain user made.
    async with Stack(home, {}, binaries=binaries()) as stack:
        assert await words(stack.environment, "left") == [b"one", b"two"]


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT RUN: it is about root's private directories")
async def test_root_runs_it_below_a_directory_closed_to_all_others(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    async with Stack(closed / "home", {}, binaries=binaries()) as stack:
        connection = await asyncpg.connect(stack.environment["VOKETAG_DATABASE_URL"])
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
        pid = stack.pid("postgres")
        assert psutil.Process(pid).uids().real != 0
    assert oct(closed.stat().st_mode)[-3:] == "700"
