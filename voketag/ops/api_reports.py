"""Reports as analysts look into them."""

from __future__ import annotations

import re
from operator import attrgetter
from typing import Annotated
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from voketag import standing
from voketag.cursors import page_of, read_cursor
from voketag.errors import InvalidField
from voketag.http.problems import not_found
from voketag.http.requests import path_id, read_body, read_query
from voketag.http.routes import Route, json_response
from voketag.ops.access import actor_of
from voketag.process import Wires
from voketag.records import audit, reports
from voketag.records.reports import Report, Status

LIST_MAX = 1000
LIST_DEFAULT = 100
NOTE_MAX_CHARACTERS = 4000
# Text of several lines: of the control characters only tab, line feed and carriage return.
NOTE_PATTERN = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f]*(?!\n)$"
_NOT_IN_A_NOTE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


class ReportPage(msgspec.Struct, frozen=True):
    """Some reports, the newest first, and the cursor of the page after them."""

    reports: tuple[Report, ...]
    next_cursor: str | None


class ReportQuery(msgspec.Struct, frozen=True):
    """The query of GET /v1/reports."""

    status: Status | None = None
    product_id: UUID | None = None
    limit: Annotated[int, Meta(ge=1, le=LIST_MAX)] = LIST_DEFAULT
    cursor: Annotated[str, Meta(description="next_cursor of the page before.")] | None = None


class ReportChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of PATCH /v1/reports/{id}; what is not given stays, a null note takes it away."""

    status: Status | UnsetType = UNSET
    note: (
        Annotated[
            str,
            Meta(max_length=NOTE_MAX_CHARACTERS, extra_json_schema={"pattern": NOTE_PATTERN}),
        ]
        | UnsetType
        | None
    ) = UNSET


_NONE = "There is no report with this id."
_change = msgspec.json.Decoder(ReportChange)
ReportChangeBody = Annotated[ReportChange, Meta(extra_json_schema={"minProperties": 1})]


class Reports:
    """The routes over their wires."""

    def __init__(self, wires: Wires) -> None:
        self._wires = wires

    async def list(self, request: web.Request) -> web.Response:
        """A page of reports."""
        query = read_query(request, ReportQuery)
        after = read_cursor(query.cursor)
        async with self._wires.database.connection() as connection:
            found = await reports.list_reports(
                connection,
                limit=query.limit + 1,
                status=query.status,
                product_id=query.product_id,
                after=after,
            )
        shown, cursor = page_of(found, query.limit, attrgetter("report_id"))
        return json_response(ReportPage(tuple(shown), cursor))

    async def get(self, request: web.Request) -> web.Response:
        """One report."""
        report_id = path_id(request)
        async with self._wires.database.connection() as connection:
            report = await reports.find_report(connection, report_id)
        if report is None:
            raise not_found(_NONE)
        return json_response(report)

    async def change(self, request: web.Request) -> web.Response:
        """Set status or note. The same change again does no harm, and completes one whose answer
        was that a server is not there.
        """
        report_id = path_id(request)
        change = await read_body(request, _change)
        _check(change)
        told = None
        async with self._wires.database.transaction() as connection:
            before = await reports.status_locked(connection, report_id)
            report = await reports.change_report(
                connection,
                report_id,
                status=None if isinstance(change.status, UnsetType) else change.status,
                note=None if isinstance(change.note, UnsetType) else change.note,
                keep_note=isinstance(change.note, UnsetType),
            )
            if report is None:
                raise not_found(_NONE)
            detail = {
                "status": {"from": before, "to": report.status},
                "note_given": change.note is not UNSET,
            }
            await audit.note(connection, actor_of(request), "report.change", report_id, detail)
            if change.status is not UNSET and report.product_id is not None:
                told = await reports.standing_of(connection, report.product_id)
        if told is not None:
            await standing.tell_reporters(self._wires.intake, told)
        return json_response(report)


def _check(change: ReportChange) -> None:
    if change.status is UNSET and change.note is UNSET:
        raise InvalidField("status", "At least one of status and note is needed.")
    if isinstance(change.note, str) and _NOT_IN_A_NOTE.search(change.note):
        raise InvalidField("note", "Printable text is accepted, in lines if need be.")


def routes(wires: Wires) -> list[Route]:
    """The routes of reports."""
    over = Reports(wires)
    return [
        Route(
            "GET",
            "/v1/reports",
            over.list,
            "List reports of people",
            {200: ReportPage},
            query=ReportQuery,
            security="analyst",
        ),
        Route("GET", "/v1/reports/{id}", over.get, "One report", {200: Report}, security="analyst"),
        Route(
            "PATCH",
            "/v1/reports/{id}",
            over.change,
            "Set a report's status or note",
            {200: Report},
            body=ReportChangeBody,
            examples={"Looked into": {"status": "confirmed", "note": "Seen at a market stall."}},
            security="analyst",
        ),
    ]
