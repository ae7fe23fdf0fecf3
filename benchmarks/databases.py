"""Embedded servers for sections that need no process of ours, and databases with our schema."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from voketag import settings as settings_module
from voketag.ops.run import migrate
from voketag.settings import Settings
from voketag.stack.stack import VARIABLES, Stack

_UNUSED = {VARIABLES["chain"]: "http://127.0.0.1:9"}  # so that none is started


@contextlib.asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[Settings]:
    """The settings of an embedded Redis and Postgres as `voketag run` starts them, Postgres with
    our schema; ended with the context.
    """
    with (folder / "servers.log").open("w") as log:

        def say(line: str) -> None:
            print(line, file=log, flush=True)

        async with Stack(folder / "servers", _UNUSED, report=say) as servers:
            settings = settings_module.load(servers.environment)
            await migrate(settings.database_url)
            yield settings


async def another_database(url: str, name: str) -> str:
    """Make a second database with our schema on the same server. Its URL."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    other = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    await migrate(other)
    return other
