"""What of Postgres's errors means "wait for it"."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from tests.servers import database_named
from voketag.errors import Unavailable
from voketag.records.database import Database


def with_another_password(url: str) -> str:
    parts = urlsplit(url)
    where = f"{parts.username}:another@{parts.hostname}:{parts.port}"
    return urlunsplit(parts._replace(netloc=where))


async def test_a_server_that_does_not_let_us_in_is_waited_for(database_url: str) -> None:
    """A password that was changed must not bury what the consumers have in hand."""
    for url in (with_another_password(database_url), database_named(database_url, "not_there")):
        database = await Database.open(url)
        with pytest.raises(Unavailable):
            await database.ping()
        await database.close()


async def test_a_wrong_statement_stays_an_error(database_url: str) -> None:
    database = await Database.open(database_url)
    with pytest.raises(asyncpg.UndefinedTableError):
        async with database.connection() as connection:
            await connection.execute("SELECT FROM nowhere")
    await database.close()
