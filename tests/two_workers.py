"""`voketag run` with two small workers, as a process: started, watched, asked."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import redis.asyncio

ROOT = Path(__file__).parents[1]
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
