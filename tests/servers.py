"""The real servers that the tests use: one stack a test process, a fresh database a test."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import asyncpg

from voketag.records.migrations import migrate
from voketag.stack.stack import Binaries, Stack

TEMPLATE = "voketag_template"
Result = TypeVar("Result")


def binaries() -> Binaries:
    """Other servers than the embedded ones, where the environment names them."""
    redis, postgres = os.environ.get("TEST_REDIS_SERVER"), os.environ.get("TEST_POSTGRES_BIN")
    return Binaries(
        redis=Path(redis) if redis else None, postgres=Path(postgres) if postgres else None
    )


class Servers:
    """A stack on a thread of its own, for as long as the test process lives.

    Every test has its own event loop; the servers' supervision needs one that outlives them all.
    """

    def __init__(self, home: Path) -> None:
        self.reports: list[str] = []
        self.stack = Stack(home, {}, binaries=binaries(), report=self.reports.append)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="servers", daemon=True)
        self._numbers = itertools.count(1)
        self._template_made = False

    def open(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.stack.__aenter__(), self._loop).result(60)

    def close(self) -> None:
        closing = self.stack.__aexit__(None, None, None)
        asyncio.run_coroutine_threadsafe(closing, self._loop).result(120)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def environment(self) -> dict[str, str]:
        """The URLs, keys and data directory that our processes are given."""
        return dict(self.stack.environment)

    @property
    def redis_url(self) -> str:
        return self.stack.environment["VOKETAG_REDIS_URL"]

    @property
    def database_url(self) -> str:
        """The server's own database; a test takes the fixture of that name instead."""
        return self.stack.environment["VOKETAG_DATABASE_URL"]

    def pid(self, name: str) -> int | None:
        """The process id of `redis`, `postgres` or `chain`."""
        return self.stack.pid(name)

    async def kill(self, name: str) -> None:
        """SIGKILL; the supervisor starts it again. Await `ready` for that."""
        await self._on_thread(self.stack.kill(name))

    async def ready(self, name: str) -> None:
        await self._on_thread(self.stack.ready(name))

    async def stop(self, name: str) -> None:
        """Stop it and leave it stopped: an outage until `start`."""
        await self._on_thread(self.stack.stop(name))

    async def start(self, name: str) -> None:
        await self._on_thread(self.stack.start(name))

    async def restart(self, name: str) -> None:
        await self._on_thread(self.stack.restart(name))

    async def whole_again(self) -> None:
        """Have all servers up, whatever a test did to them."""
        for name in self.stack.servers:
            if not self.stack.supervisor.has(name):
                await self.start(name)
            await self.ready(name)

    async def create_database(self) -> str:
        """A fresh database with the schema applied. Its URL."""
        connection = await asyncpg.connect(self.database_url)
        try:
            if not self._template_made:
                await connection.execute(f"CREATE DATABASE {TEMPLATE}")
                await apply_schema(database_named(self.database_url, TEMPLATE))
                self._template_made = True
            name = f"test_{next(self._numbers)}"
            await connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        finally:
            await connection.close()
        return database_named(self.database_url, name)

    async def drop_database(self, url: str) -> None:
        connection = await asyncpg.connect(self.database_url)
        try:
            name = urlsplit(url).path[1:]
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        finally:
            await connection.close()

    async def _on_thread(self, work: Coroutine[Any, Any, Result]) -> Result:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))


def database_named(url: str, name: str) -> str:
    """The URL of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def apply_schema(url: str) -> None:
    """Make the tables in an empty database."""
    connection = await asyncpg.connect(url)
    try:
        await migrate(connection)
    finally:
        await connection.close()


async def rpc(url: str, method: str, *params: object) -> Any:
    """One JSON-RPC call to a chain. Its result."""
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
    async with aiohttp.ClientSession() as session, session.post(url, json=request) as response:
        answer = await response.json()
    assert "error" not in answer, answer["error"]
    return answer["result"]


async def eventually(
    condition: Callable[[], bool | Awaitable[bool]], timeout_s: float = 15.0
) -> None:
    """Wait until the condition holds; the test fails at the deadline."""
    async with asyncio.timeout(timeout_s):
        while True:
            holds = condition()
            if await holds if isinstance(holds, Awaitable) else holds:
                return
            await asyncio.sleep(0.01)
