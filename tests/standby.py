"""A standby of the tests' Postgres: made by pg_basebackup, followed by streaming replication."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from tests.servers import binaries, database_named, eventually
from voketag.stack import postgres
from voketag.stack.home import choose_port


class Standby:
    """A standby of the server of `primary_url`; `url` is that of the same database on it."""

    def __init__(self, primary_url: str, folder: Path) -> None:
        self._primary_url = primary_url
        self._data = folder / "data"
        self._binaries = binaries().postgres or postgres.find_binaries(folder)
        self.port = choose_port(folder, "standby")
        self._process: asyncio.subprocess.Process | None = None
        primary = urlsplit(primary_url)
        self.url = self.url_as(primary.username, primary.password)

    def url_as(self, user: str | None, password: str | None) -> str:
        """The URL for another user."""
        netloc = f"{user}:{password}@127.0.0.1:{self.port}"
        return urlunsplit(urlsplit(self._primary_url)._replace(netloc=netloc))

    async def make(self) -> None:
        """Copy the primary as it is now."""
        self._data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            nobody = postgres.as_user(self._data)
            uid = next(word for word in nobody if word.startswith("--reuid="))
            os.chown(self._data, int(uid.removeprefix("--reuid=")), -1)
        source = database_named(self._primary_url, "")
        copying = await self._run(
            "pg_basebackup", "-D", str(self._data), "-R", "-d", source, "-cfast"
        )
        assert await copying.wait() == 0

    async def start(self) -> None:
        """Start it, and wait until it can be asked."""
        settings = {**postgres.SETTINGS, "port": self.port}
        options = (f"-c{name}={value}" for name, value in settings.items())
        self._process = await self._run("postgres", "-D", str(self._data), *options)
        await eventually(self._answers)

    async def end(self) -> None:
        """Crash it, with every session it has."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGQUIT)
            await self._process.wait()

    async def pause(self) -> None:
        """Have it show nothing newer than what the primary has written by now."""
        await self.follow()
        await self.ask("SELECT pg_wal_replay_pause()")

        async def paused() -> bool:
            return await self.ask("SELECT pg_get_wal_replay_pause_state()") == "paused"

        await eventually(paused)

    async def resume(self) -> None:
        await self.ask("SELECT pg_wal_replay_resume()")

    async def follow(self) -> None:
        """Wait until it shows all that the primary has written by now."""
        async with _connected(self._primary_url) as connection:
            written = await connection.fetchval("SELECT pg_current_wal_lsn()::text")

        async def followed() -> bool:
            return bool(await self.ask(f"SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn"))

        await eventually(followed)

    async def ask(self, statement: str) -> object:
        """The one value that a statement gives there."""
        async with _connected(self.url) as connection:
            return await connection.fetchval(statement)

    async def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, "the standby ended"
        try:
            await self.ask("SELECT 1")
        except (OSError, asyncpg.PostgresError):
            return False
        return True

    async def _run(self, program: str, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(*postgres.as_user(self._data), str(self._binaries / program), *arguments),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )


@contextlib.asynccontextmanager
async def standby_of(primary_url: str, folder: Path) -> AsyncIterator[Standby]:
    """A standby that runs and has caught up."""
    standby = Standby(primary_url, folder)
    try:
        await standby.make()
        await standby.start()
        await standby.follow()
        yield standby
    finally:
        await standby.end()


@contextlib.asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()
