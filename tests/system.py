"""`voketag run` as a process, for tests of the whole: started, watched, ended, killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from tests.command import COMMAND, environment
from voketag import settings
from voketag.client import WaitTimeout, waiting
from voketag.ops import clients, instance
from voketag.ops.clients import Clients
from voketag.ops.run import PORT_VARIABLES, PORTS, with_ports

WORKERS_MOST = 16
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0  # promised
STEP_TIMEOUT_S = 30.0


def own_ports() -> range:
    """Ports that no other worker of this run takes between our looking at one and binding it."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    share = len(PORTS) // WORKERS_MOST
    return PORTS[worker % WORKERS_MOST * share :][:share]


class System:
    """`voketag run` on a data directory, always on the same ports; `variables` are settings."""

    def __init__(self, home: Path, variables: Mapping[str, str] | None = None) -> None:
        self.home = home
        ports = dict.fromkeys(PORT_VARIABLES, "0")
        limits = {"VOKETAG_SCAN_RATE_LIMIT": "0", "VOKETAG_ANCHOR_WINDOW_S": "0.2"}
        self.environ = with_ports(
            environment(home, {**ports, **limits, **(variables or {})}), own_ports()
        )
        self.output = ""
        self.process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it, and wait until it says that it is ready."""
        self.output = ""
        self.process = await asyncio.create_subprocess_exec(
            *(*COMMAND, "run"),
            env=self.environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._reading = asyncio.create_task(self._read(self.process))

        async def ready() -> bool | None:
            assert self.running.returncode is None, self.output
            return True if "/v1/streams" in self.output else None

        await self.until("ready", ready, START_TIMEOUT_S)

    @property
    def running(self) -> asyncio.subprocess.Process:
        assert self.process is not None
        return self.process

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while data := await process.stdout.read(65_536):
            self.output += data.decode(errors="replace")

    async def end(self, number: signal.Signals) -> None:
        """Send it a signal; wait until it and all that it started are gone."""
        family = [psutil.Process(self.running.pid), *self._descendants()]
        self.running.send_signal(number)
        await asyncio.wait_for(self.running.wait(), STOP_TIMEOUT_S)

        async def gone() -> bool | None:
            return True if not any(map(lives, family)) else None

        await self.until("all processes gone", gone, STOP_TIMEOUT_S)
        assert self._reading is not None
        await self._reading

    def _descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.running.pid).children(recursive=True)

    async def close(self) -> None:
        """End what a failed test has left running."""
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(psutil.NoSuchProcess, TimeoutError):
                await self.end(signal.SIGTERM)
            if self.process.returncode is None:
                self.process.kill()
                await self.process.wait()

    def pid(self, name: str) -> int | None:
        """The process of a program or server at this moment."""
        try:
            return int((self.home / "pids" / name).read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None

    @contextlib.asynccontextmanager
    async def api(self) -> AsyncIterator[Clients]:
        async with clients.opened(self.settings, retries=False) as opened:
            yield opened

    @property
    def settings(self) -> settings.Settings:
        left = json.loads((self.home / instance.FILE).read_text())
        return settings.load(left)

    @property
    def demo(self) -> dict[str, str]:
        return dict(json.loads((self.home / "demo.json").read_text()))

    async def fetch(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.settings.database_url)
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()

    async def until(
        self,
        what: str,
        probe: Callable[[], Awaitable[Any]],
        timeout_s: float = STEP_TIMEOUT_S,
    ) -> Any:
        try:
            return await waiting.until(what, probe, timeout_s, every_s=0.05)
        except WaitTimeout as error:
            raise AssertionError(f"{error}\n{self.output[-6000:]}") from None


def lives(process: psutil.Process) -> bool:
    """Whether it runs; one that has ended may wait in the table for its parent."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
