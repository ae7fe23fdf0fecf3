"""Batches of every factory, as analysts look at them and administrators recall them."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from voketag import standing
from voketag.batches import submission
from voketag.batches.answers import Batch, NamedBatch, NamedBatchPage
from voketag.batches.listing import NamedListQuery, read_created_after
from voketag.batches.submission import Recall
from voketag.cursors import page_of, read_cursor
from voketag.http.problems import not_found
from voketag.http.requests import path_id, read_body, read_query
from voketag.http.routes import Route, json_response
from voketag.ops.access import actor_of
from voketag.process import Wires
from voketag.records import all_batches, audit

if TYPE_CHECKING:
    from voketag.records.database import Connection

_NONE = "There is no batch with this id."
_recall = msgspec.json.Decoder(Recall)


class Batches:
    """The routes over their wires. Batches are read where they are written: whoever recalls one
    looks at it next.
    """

    def __init__(self, wires: Wires) -> None:
        self._wires = wires

    async def list(self, request: web.Request) -> web.Response:
        """A page of batches."""
        query = read_query(request, NamedListQuery)
        created_after = read_created_after(query.created_after)
        after = read_cursor(query.cursor)
        async with self._wires.database.connection() as connection:
            found = await all_batches.page(
                connection,
                factory_id=query.factory_id,
                status=query.status,
                created_after=created_after,
                after=after,
                limit=query.limit + 1,
            )
        shown, cursor = page_of(found, query.limit, attrgetter("batch_id"))
        return json_response(NamedBatchPage(tuple(shown), cursor))

    async def get(self, request: web.Request) -> web.Response:
        """One batch."""
        batch_id = path_id(request)
        async with self._wires.database.connection() as connection:
            batch = await all_batches.find(connection, batch_id)
        if batch is None:
            raise not_found(_NONE)
        return json_response(batch)

    async def recall(self, request: web.Request) -> web.Response:
        """Recall a batch; a repeat does the rest where one failed."""
        batch_id = path_id(request)
        reason = submission.check_reason(await read_body(request, _recall))
        actor = actor_of(request)

        async def note(connection: Connection, batch: Batch) -> None:
            detail = {"reason": reason, "factory_id": batch.factory_id}
            await audit.note(connection, actor, "batch.recall", batch_id, detail)

        if await standing.recall(self._wires, batch_id, reason, also=note) is None:
            raise not_found(_NONE)
        return await self.get(request)


def routes(wires: Wires) -> list[Route]:
    """The routes of batches."""
    over = Batches(wires)
    one = "/v1/batches/{id}"
    return [
        Route(
            "GET",
            "/v1/batches",
            over.list,
            "Batches of every factory, the newest first",
            {200: NamedBatchPage},
            query=NamedListQuery,
            security="viewer",
        ),
        Route("GET", one, over.get, "A batch", {200: NamedBatch}, security="viewer"),
        Route(
            "POST",
            one + "/recall",
            over.recall,
            "Recall a batch: whoever scans one of its products is told",
            {200: NamedBatch},
            body=Recall,
            security="admin",
        ),
    ]
