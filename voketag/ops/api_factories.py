"""Factories and their API keys, as an administrator makes and revokes them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import attrgetter
from typing import Annotated
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import Meta

from voketag.administration import (
    Factory,
    FactoryPage,
    NewFactoryAnswer,
    NewKeyAnswer,
)
from voketag.cursors import page_of, read_cursor
from voketag.errors import Conflict, InvalidField
from voketag.http.problems import Problem, not_found
from voketag.http.requests import path_id, read_body, read_query
from voketag.http.routes import Route, json_response
from voketag.ops.access import actor_of
from voketag.ops.factories import (
    EMAIL_MAX_CHARACTERS,
    EMAIL_PATTERN,
    NAME_MAX_CHARACTERS,
    add,
    check,
)
from voketag.printable import PRINTABLE_PATTERN
from voketag.process import Wires
from voketag.records import audit, factories
from voketag.roles import allows

LIST_MAX = 1000
LIST_DEFAULT = 100
EXAMPLE_END = "2100-01-01T00:00:00Z"
KEY_LIFE_MAX = timedelta(days=36_525)


class NewFactory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /v1/factories."""

    name: Annotated[
        str,
        Meta(
            examples=["Acme Shoes"],
            min_length=1,
            max_length=NAME_MAX_CHARACTERS,
            extra_json_schema={"pattern": PRINTABLE_PATTERN},
        ),
    ]
    email: Annotated[
        str,
        Meta(
            description="Of one factory alone, whatever the case of letters.",
            examples=["erp@acme.example"],
            max_length=EMAIL_MAX_CHARACTERS,
            extra_json_schema={"pattern": EMAIL_PATTERN},
        ),
    ]


class NewKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /v1/factories/{id}/keys; without an end the key is valid until revoked."""

    expires_at: (
        Annotated[
            datetime,
            Meta(tz=True, description="Within the next 100 years.", examples=[EXAMPLE_END]),
        ]
        | None
    ) = None


class PageQuery(msgspec.Struct, frozen=True):
    """The query of GET /v1/factories."""

    limit: Annotated[int, Meta(ge=1, le=LIST_MAX)] = LIST_DEFAULT
    cursor: Annotated[str, Meta(description="next_cursor of the page before.")] | None = None


_new_factory = msgspec.json.Decoder(NewFactory)
_new_key = msgspec.json.Decoder(NewKey)


class Factories:
    """The routes over their wires."""

    def __init__(self, wires: Wires) -> None:
        self._wires = wires

    async def create(self, request: web.Request) -> web.Response:
        """Make a factory and its first key."""
        new = await read_body(request, _new_factory)
        check(new.name, new.email)
        try:
            async with self._wires.database.transaction() as connection:
                factory_id, key = await add(connection, actor_of(request), new.name, new.email)
        except Conflict as error:
            raise Problem(409, "email_used", str(error)) from None
        location = {"Location": f"/v1/factories/{factory_id}"}
        return json_response(NewFactoryAnswer(factory_id, key), 201, location)

    async def list(self, request: web.Request) -> web.Response:
        """A page of factories."""
        query = read_query(request, PageQuery)
        after = read_cursor(query.cursor)
        async with self._wires.database.connection() as connection:
            found = await factories.list_factories(connection, limit=query.limit + 1, after=after)
        shown, cursor = page_of(found, query.limit, attrgetter("factory_id"))
        return json_response(FactoryPage(tuple(_shown(one, request) for one in shown), cursor))

    async def get(self, request: web.Request) -> web.Response:
        """One factory: the first of those from its id on."""
        factory_id = path_id(request)
        before = UUID(int=max(factory_id.int - 1, 0))
        async with self._wires.database.connection() as connection:
            found = await factories.list_factories(connection, limit=1, after=before)
        if not found or found[0].factory_id != factory_id:
            raise not_found("There is no factory with this id.")
        return json_response(_shown(found[0], request))

    async def add_key(self, request: web.Request) -> web.Response:
        """One more key for a factory."""
        factory_id = path_id(request)
        new = await read_body(request, _new_key) if request.can_read_body else NewKey()
        expires_at = _checked_end(new.expires_at, datetime.now(UTC))
        async with self._wires.database.transaction() as connection:
            made = await factories.add_key(connection, factory_id, expires_at)
            if made is None:
                raise not_found("There is no factory with this id.")
            detail = {"factory_id": factory_id, "expires_at": expires_at}
            await audit.note(connection, actor_of(request), "key.create", made[0], detail)
        return json_response(NewKeyAnswer(*made, expires_at), 201)

    async def revoke_key(self, request: web.Request) -> web.Response:
        """Make a key unusable from now on."""
        key_id = path_id(request)
        async with self._wires.database.transaction() as connection:
            revoked = await factories.revoke_key(connection, key_id)
            if revoked is None:
                raise not_found("There is no key with this id.")
            if not revoked.before:
                detail = {"factory_id": revoked.factory_id}
                await audit.note(connection, actor_of(request), "key.revoke", key_id, detail)
        return web.Response(status=204)


def _checked_end(expires_at: datetime | None, now: datetime) -> datetime | None:
    if expires_at is None:
        return None
    if not timedelta() < expires_at - now < KEY_LIFE_MAX:
        raise InvalidField("expires_at", "A time within the next 100 years is accepted.")
    return expires_at.astimezone(UTC)


def _shown(factory: factories.Factory, request: web.Request) -> Factory:
    known = asdict(factory)
    if not allows(actor_of(request).role, "analyst"):
        known["email"] = None
    return msgspec.convert(known, Factory)


def routes(wires: Wires) -> list[Route]:
    """The routes of factories and keys."""
    over = Factories(wires)
    admin, viewer = partial(Route, security="admin"), partial(Route, security="viewer")
    return [
        admin(
            "POST",
            "/v1/factories",
            over.create,
            "Make a factory and its first API key",
            {201: NewFactoryAnswer},
            body=NewFactory,
            problems=(409,),
        ),
        viewer(
            "GET",
            "/v1/factories",
            over.list,
            "List factories",
            {200: FactoryPage},
            query=PageQuery,
        ),
        viewer("GET", "/v1/factories/{id}", over.get, "One factory", {200: Factory}),
        admin(
            "POST",
            "/v1/factories/{id}/keys",
            over.add_key,
            "Make one more API key",
            {201: NewKeyAnswer},
            body=NewKey,
            body_required=False,
        ),
        admin(
            "DELETE",
            "/v1/keys/{id}",
            over.revoke_key,
            "Revoke an API key",
            {204: None},
        ),
    ]
