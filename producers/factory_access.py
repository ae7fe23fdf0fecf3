"""Which factory is calling."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

from aiohttp.web import Request

from voketag import keys
from voketag.http.guesses import GUESSES
from voketag.http.problems import unauthorised
from voketag.http.requests import bearer
from voketag.process import Wires
from voketag.records import factories
from voketag.records.database import Connection


@contextlib.asynccontextmanager
async def authenticated(wires: Wires, request: Request) -> AsyncIterator[tuple[Connection, UUID]]:
    """A connection, and the factory whose key the request carries. Raises Problem 401, and 429
    where its address has guessed keys too often.

    A key that was never minted is refused without asking Postgres; any other is looked up for each
    request, so that a revoked one stops working at once.
    """
    given = bearer(request)
    guesses = request.app[GUESSES]
    guesses.refuse(request)
    key = keys.parse(given)
    if key is None:
        guesses.note(request)
        raise unauthorised("This is no API key of VokeTag; they begin with vt_.")
    async with wires.database.connection() as connection:
        now = datetime.now(UTC)
        owner = await factories.factory_of_key(connection, keys.digest(key), now)
        if owner is None:
            guesses.note(request)
            raise unauthorised("This API key is unknown.")
        if owner.state != "valid":
            raise unauthorised(f"This API key is {owner.state}.")
        yield connection, owner.factory_id


async def calling_factory(wires: Wires, request: Request) -> UUID:
    """The factory whose key the request carries, where no connection is to be kept. Raises
    Problem 401.
    """
    async with authenticated(wires, request) as (_, factory_id):
        return factory_id
