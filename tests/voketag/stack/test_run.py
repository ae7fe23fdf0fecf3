"""The whole of `voketag run` as a process: stopped, killed, started twice, as root and not."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import psutil
import pytest
import redis.asyncio

from tests.servers import binaries, eventually
from voketag.stack import restarts
from voketag.stack.home import StackError
from voketag.stack.stack import Stack

ROOT = Path(__file__).parents[3]
DRIVER = """
import asyncio, json, os, sys
from pathlib import Path
from tests.servers import binaries
from voketag.stack.home import StackError
from voketag.stack.run import run

async def announce(environment, first_start):
    print(json.dumps({"environment": environment, "first_start": first_start}), flush=True)

try:
    asyncio.run(run(Path(sys.argv[1]), os.environ, announce=announce,
                    procfile=Path(sys.argv[2]), binaries=binaries()))
except StackError as error:
    sys.exit(str(error))
"""
# On SIGTERM it asks Redis for its last word, so the servers must outlive it.
WORKER = """
import os, redis, signal, socket, sys

def say(what):
    redis.Redis.from_url(os.environ["VOKETAG_REDIS_URL"]).rpush(what, sys.argv[1])

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
say("came")
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
print("working", flush=True)
signal.sigwait({signal.SIGTERM})
say("left")
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a Procfile of two workers that any user may reach, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="voketag-"))
    folder.chmod(0o755)
    (folder / "worker.py").write_text(WORKER)
    (folder / "Procfile").write_text(
        "".join(f"{name}: python {folder}/worker.py {name}\n" for name in ("one", "two"))
    )
    yield folder
    shutil.rmtree(folder)


async def start(
    place: Path, home: Path, *before: str, stdin: int = asyncio.subprocess.DEVNULL
) -> asyncio.subprocess.Process:
    keep = ("PATH", "TEST_REDIS_SERVER", "TEST_POSTGRES_BIN")
    return await asyncio.create_subprocess_exec(
        *(*before, sys.executable, "-c", DRIVER, str(home), str(place / "Procfile")),
        cwd=ROOT,
        env={name: os.environ[name] for name in keep if name in os.environ},
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def announced(process: asyncio.subprocess.Process) -> dict[str, str]:
    """Read on until it says that everything is up. The environment of its programs."""
    assert process.stdout is not None
    while line := await process.stdout.readline():
        if line.startswith(b"{"):
            return dict(json.loads(line)["environment"])
    _, errors = await process.communicate()
    raise AssertionError(errors.decode())


@asynccontextmanager
async def running(
    place: Path, home: Path, *before: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, str]]]:
    """The whole system, stopped at the end if the test has not done so."""
    process = await start(place, home, *before)
    try:
        yield process, await announced(process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def words(environment: dict[str, str], key: str) -> list[bytes]:
    async with redis.asyncio.Redis.from_url(environment["VOKETAG_REDIS_URL"]) as client:
        return sorted(map(bytes, await client.lrange(key, 0, -1)))  # type: ignore[arg-type]


async def came(environment: dict[str, str]) -> bool:
    return await words(environment, "came") == [b"one", b"two"]


def alive(processes: list[psutil.Process]) -> bool:
    """Whether any of them runs; what nothing has reaped yet does not."""
    return any(
        process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes
    )


def recorded(home: Path) -> list[psutil.Process]:
    """Every process that the run has started."""
    paths = (home / "pids").iterdir()
    return [psutil.Process(int(path.read_text().split()[0])) for path in paths]


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
        assert stranger == {"error": "There is no program three."}


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
