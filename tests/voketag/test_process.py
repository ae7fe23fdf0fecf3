"""What every process has around it: its settings, its logs, its signals, its wires."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.factory_floor import settings_for
from tests.servers import Servers
from voketag import process
from voketag.http import listeners
from voketag.redis.connection import connect
from voketag.stack.program import Program, spawn

ROOT = Path(__file__).parents[2]
ADMIN_KEY = "an-admin-key-for-this-test"


def environ_for(redis_url: str, database_url: str, **changed: str) -> dict[str, str]:
    environ = {
        "REDIS_URL": redis_url,
        "DATABASE_URL": database_url,
        "CHAIN_URL": "http://127.0.0.1:1",
        "ADMIN_KEY": ADMIN_KEY,
        "TOKEN_KEYS": "1:" + "ab" * 32,
        "HASH_KEY": "cd" * 32,
        "SCAN_PORT": "0",
        "FACTORY_PORT": "0",
        "OPS_PORT": "0",
    } | changed
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VOKETAG_")}
    return kept | {f"VOKETAG_{name}": value for name, value in environ.items()}


@contextlib.asynccontextmanager
async def started(
    environ: Mapping[str, str], *arguments: str
) -> AsyncIterator[tuple[Process, list[str]]]:
    """A process of ours with these settings, and the lines it has logged; killed at the end."""
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        env=environ,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    lines: list[str] = []
    try:
        yield running, lines
    finally:
        if running.returncode is None:
            running.kill()
            await running.communicate()


async def logged(running: Process, lines: list[str], event: str) -> dict[str, Any]:
    """The first log line that tells of `event`."""
    assert running.stdout is not None
    while line := await running.stdout.readline():
        lines.append(line.decode())
        entry: dict[str, Any] = json.loads(line)
        if entry["event"] == event:
            return entry
    assert running.stderr is not None
    raise AssertionError((await running.stderr.read()).decode() or "".join(lines))


async def ended(running: Process, lines: list[str]) -> int | None:
    """The status with which a process ends, its last lines noted."""
    out, error = await running.communicate()
    lines += out.decode().splitlines()
    assert error == b"", error.decode()
    return running.returncode


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_f9_a_signal_stops_a_process_that_serves(
    redis_url: str, database_url: str, number: signal.Signals
) -> None:
    environ = environ_for(redis_url, database_url)
    async with started(environ, "-m", "voketag.ops") as (running, lines):
        entry = await logged(running, lines, "listening")
        assert entry["port"] > 0
        running.send_signal(number)
        assert await ended(running, lines) == 0
    entries = [json.loads(line) for line in lines]
    assert [entry["event"] for entry in entries] == ["started", "listening", "stopped"]
    assert all({"timestamp", "level", "event"} <= set(entry) for entry in entries)


async def test_f9_a_signal_stops_a_consumer(redis_url: str, database_url: str) -> None:
    environ = environ_for(redis_url, database_url)
    async with started(environ, "-m", "consumers.maintain") as (running, lines):
        await logged(running, lines, "started")
        running.send_signal(signal.SIGTERM)
        assert await ended(running, lines) == 0


@contextlib.contextmanager
def notify_socket(folder: Path) -> Iterator[tuple[socket.socket, str]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hearing:
        path = str(folder / "notify")
        hearing.bind(path)
        hearing.setblocking(False)
        yield hearing, path


async def heard(hearing: socket.socket) -> bytes:
    async with asyncio.timeout(20):
        return await asyncio.get_running_loop().sock_recv(hearing, 100)


async def test_f9_a_process_serves_on_the_socket_it_is_handed_and_says_when(
    redis_url: str, database_url: str
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        notify_socket(Path(folder)) as (hearing, path),
        listeners.opened("127.0.0.1", 0) as listener,
    ):
        port = listener.getsockname()[1]
        environ = environ_for(redis_url, database_url, OPS_PORT="1") | {"NOTIFY_SOCKET": path}
        program = Program("ops", (sys.executable, "-m", "voketag.ops"))
        running = await spawn(program, environ, listener)
        try:
            assert await heard(hearing) == b"READY=1"
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{port}/healthz") as response,
            ):
                assert response.status == 200
        finally:
            running.terminate()
            out, _ = await running.communicate()
        assert running.returncode == 0, out
        # The queue is not gone with the process.
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()


async def test_sockets_meant_for_another_process_are_left_alone(
    redis_url: str, database_url: str
) -> None:
    environ = environ_for(redis_url, database_url) | {"LISTEN_FDS": "1", "LISTEN_PID": "1"}
    async with started(environ, "-m", "voketag.ops") as (running, lines):
        assert (await logged(running, lines, "listening"))["handed_over"] == 0


async def test_a_consumer_says_when_it_has_asked_for_its_streams(
    servers: Servers, redis_url: str, database_url: str
) -> None:
    await servers.stop("redis")
    with tempfile.TemporaryDirectory() as folder, notify_socket(Path(folder)) as (hearing, path):
        environ = environ_for(redis_url, database_url) | {"NOTIFY_SOCKET": path}
        async with started(environ, "-m", "consumers.maintain") as (running, lines):
            await logged(running, lines, "waiting")
            with pytest.raises(BlockingIOError):
                hearing.recv(100)
            await servers.start("redis")
            assert await heard(hearing) == b"READY=1"
            running.send_signal(signal.SIGTERM)
            assert await ended(running, lines) == 0


async def test_nobody_who_hears_that_it_is_ready_is_no_fault(
    redis_url: str, database_url: str
) -> None:
    environ = environ_for(redis_url, database_url) | {"NOTIFY_SOCKET": "@voketag-nobody"}
    async with started(environ, "-m", "consumers.maintain") as (running, lines):
        await logged(running, lines, "nobody was told that this process is ready")
        running.send_signal(signal.SIGTERM)
        assert await ended(running, lines) == 0


async def test_a_process_waits_for_servers_that_are_not_there_yet() -> None:
    environ = environ_for("redis://127.0.0.1:1/0", "postgresql://nobody@127.0.0.1:1/none")
    async with started(environ, "-m", "consumers.maintain") as (running, lines):
        await logged(running, lines, "waiting")
        running.send_signal(signal.SIGTERM)
        assert await ended(running, lines) == 0


async def test_unusable_settings_end_a_process_with_all_that_is_wrong() -> None:
    environ = environ_for("http://x", "mysql://root:dbpassword@x", SHARDS="0")
    async with started(environ, "-m", "voketag.ops") as (running, _):
        out, error = await running.communicate()
    assert running.returncode == 2
    assert out == b""
    for name in (b"VOKETAG_REDIS_URL", b"VOKETAG_DATABASE_URL", b"VOKETAG_SHARDS"):
        assert name in error
    assert b"Traceback" not in error
    assert b"dbpassword" not in error


@pytest.mark.parametrize("module", ["producers.scan", "consumers.score"])
async def test_f1_who_relies_on_redis_alone_does_not_start_on_a_forgetful_one(
    redis_url: str, database_url: str, module: str
) -> None:
    async with connect(redis_url) as redis:
        await redis.config_set("appendfsync", "everysec")
        try:
            async with started(environ_for(redis_url, database_url), "-m", module) as (running, _):
                _, error = await running.communicate()
        finally:
            await redis.config_set("appendfsync", "always")
    assert running.returncode == 2
    assert b"CONFIG SET appendfsync always" in error
    assert b"Traceback" not in error


LOGGING = """
import structlog
from voketag import logs
logs.configure("info")
log = structlog.get_logger()
log.debug("too quiet")
log.info("scan", token="0ABC", ip="198.51.100.1", email="a@b.example", user_agent="Phone",
         authorization="Bearer x", address="198.51.100.1", api_key="vt_x", password="p",
         scan_id="s1")
logs.REQUEST_ID.set("r1")
try:
    raise ValueError("why")
except ValueError:
    log.exception("bug", email="a@b.example")
"""


async def test_logs_are_json_lines_without_personal_data() -> None:
    async with started(dict(os.environ), "-c", LOGGING) as (running, lines):
        assert await ended(running, lines) == 0
    scan, bug = (json.loads(line) for line in lines)
    assert scan["scan_id"] == "s1"
    assert scan["level"] == "info"
    withheld = set(scan) - {"scan_id", "level", "event", "timestamp"}
    assert len(withheld) == 8
    assert all(scan[name] == "[withheld]" for name in withheld)
    assert (bug["request_id"], bug["email"]) == ("r1", "[withheld]")
    assert "ValueError: why" in bug["exception"]


async def test_a_process_has_the_wires_it_asked_for_and_no_others() -> None:
    settings = settings_for("redis://127.0.0.1:1/0", "postgresql://nobody@127.0.0.1:1/none")
    async with process.open_wires(settings) as wires:
        with pytest.raises(RuntimeError, match="did not open the database"):
            _ = wires.database
        with pytest.raises(RuntimeError, match="did not open the chain"):
            _ = wires.chain
    async with process.open_wires(settings, database=True, chain=True) as wires:
        assert wires.database is wires.database
        assert wires.chain is wires.chain
        first = wires.streams.boot_id
    async with process.open_wires(settings) as wires:
        assert wires.streams.boot_id != first
