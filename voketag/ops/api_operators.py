"""Operators over HTTP, as an administrator makes and revokes them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Annotated
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import Meta

from voketag.cursors import page_of, read_cursor
from voketag.errors import Conflict
from voketag.http.problems import Problem, not_found
from voketag.http.requests import path_id, read_body, read_query
from voketag.http.routes import Route, json_response
from voketag.ops.access import actor_of
from voketag.ops.operators import NAME_MAX_CHARACTERS, add, check
from voketag.printable import PRINTABLE_PATTERN
from voketag.process import Wires
from voketag.records import audit, operators
from voketag.roles import Role

LIST_MAX = 1000
LIST_DEFAULT = 100


class NewOperator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /v1/operators."""

    name: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=NAME_MAX_CHARACTERS,
            description="One's own for as long as it is in use; not admin and not cli.",
            extra_json_schema={"pattern": PRINTABLE_PATTERN},
        ),
    ]
    role: Role


class NewOperatorAnswer(msgspec.Struct, frozen=True):
    """An operator was made; the key is shown this once."""

    operator_id: UUID
    api_key: str


class Operator(msgspec.Struct, frozen=True):
    """An operator, and the first characters of the key."""

    operator_id: UUID
    name: str
    role: Role
    prefix: str
    created_at: datetime
    revoked_at: datetime | None


class OperatorPage(msgspec.Struct, frozen=True):
    """Some operators, the oldest first, and the cursor of the page after them."""

    operators: tuple[Operator, ...]
    next_cursor: str | None


class OperatorQuery(msgspec.Struct, frozen=True):
    """The query of GET /v1/operators."""

    limit: Annotated[int, Meta(ge=1, le=LIST_MAX)] = LIST_DEFAULT
    cursor: Annotated[str, Meta(description="next_cursor of the page before.")] | None = None


_new_operator = msgspec.json.Decoder(NewOperator)


class Operators:
    """The routes over their wires."""

    def __init__(self, wires: Wires) -> None:
        self._wires = wires

    async def create(self, request: web.Request) -> web.Response:
        """Make an operator."""
        new = await read_body(request, _new_operator)
        check(new.name)
        try:
            async with self._wires.database.transaction() as connection:
                made = await add(connection, actor_of(request), new.name, new.role)
        except Conflict as error:
            raise Problem(409, "name_used", str(error)) from None
        return json_response(NewOperatorAnswer(*made), 201)

    async def list(self, request: web.Request) -> web.Response:
        """A page of operators."""
        query = read_query(request, OperatorQuery)
        after = read_cursor(query.cursor)
        async with self._wires.database.connection() as connection:
            found = await operators.list_operators(connection, limit=query.limit + 1, after=after)
        shown, cursor = page_of(found, query.limit, attrgetter("operator_id"))
        return json_response(
            OperatorPage(tuple(msgspec.convert(asdict(one), Operator) for one in shown), cursor)
        )

    async def revoke(self, request: web.Request) -> web.Response:
        """Make an operator's key and sessions unusable from now on."""
        operator_id = path_id(request)
        async with self._wires.database.transaction() as connection:
            revoked = await operators.revoke_operator(connection, operator_id)
            if revoked is None:
                raise not_found("There is no operator with this id.")
            operator, before = revoked
            if not before:
                detail = {"name": operator.name, "role": operator.role}
                actor = actor_of(request)
                await audit.note(connection, actor, "operator.revoke", operator_id, detail)
        return web.Response(status=204)


def routes(wires: Wires) -> list[Route]:
    """The routes of operators."""
    over = Operators(wires)
    admin = partial(Route, security="admin")
    return [
        admin(
            "POST",
            "/v1/operators",
            over.create,
            "Make an operator",
            {201: NewOperatorAnswer},
            body=NewOperator,
            problems=(409,),
        ),
        admin(
            "GET",
            "/v1/operators",
            over.list,
            "List operators",
            {200: OperatorPage},
            query=OperatorQuery,
        ),
        admin(
            "DELETE",
            "/v1/operators/{id}",
            over.revoke,
            "Revoke an operator's key, and end the sessions",
            {204: None},
        ),
    ]
