"""The audit log over HTTP."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from operator import attrgetter
from typing import Annotated, Any
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import Meta

from voketag.cursors import page_of, read_cursor
from voketag.http.requests import read_query
from voketag.http.routes import Route, json_response
from voketag.process import Wires
from voketag.records import audit
from voketag.records.audit import Action
from voketag.roles import Role

LIST_MAX = 1000
LIST_DEFAULT = 100


class AuditEntry(msgspec.Struct, frozen=True):
    """Who did what, when. `actor` is the name the operator had; `admin` stands for the holder of
    the admin key and `cli` for the command line, which are no operators.
    """

    audit_id: UUID
    at: datetime
    actor: str
    role: Role
    operator_id: UUID | None
    action: str
    target: str
    detail: dict[str, Any]


class AuditPage(msgspec.Struct, frozen=True):
    """Some lines of the log, the newest first, and the cursor of the page after them."""

    entries: tuple[AuditEntry, ...]
    next_cursor: str | None


class AuditQuery(msgspec.Struct, frozen=True):
    """The query of GET /v1/audit."""

    limit: Annotated[int, Meta(ge=1, le=LIST_MAX)] = LIST_DEFAULT
    cursor: Annotated[str, Meta(description="next_cursor of the page before.")] | None = None
    actor: Annotated[str, Meta(description="What this one did alone.")] | None = None
    action: Action | None = None


def routes(wires: Wires) -> list[Route]:
    """The route of the audit log."""

    async def page(request: web.Request) -> web.Response:
        query = read_query(request, AuditQuery)
        after = read_cursor(query.cursor)
        async with wires.database.connection() as connection:
            found = await audit.page(
                connection,
                limit=query.limit + 1,
                after=after,
                actor=query.actor,
                action=query.action,
            )
        shown, cursor = page_of(found, query.limit, attrgetter("audit_id"))
        return json_response(
            AuditPage(tuple(msgspec.convert(asdict(one), AuditEntry) for one in shown), cursor)
        )

    return [
        Route(
            "GET",
            "/v1/audit",
            page,
            "Who changed what, the newest first",
            {200: AuditPage},
            query=AuditQuery,
            security="admin",
        )
    ]
