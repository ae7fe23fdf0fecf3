"""Daily statistics of a time, as JSON and as a table for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import Meta

from voketag.administration import Day
from voketag.errors import InvalidField
from voketag.http.requests import read_query
from voketag.http.routes import Route, json_response
from voketag.process import Wires
from voketag.records import stats

DAYS_MAX = 366
DAYS_DEFAULT = 30
COLUMNS = (
    "day",
    "scans",
    "unique_products",
    "avg_risk_score",
    "authentic",
    "suspicious",
    "high_risk",
    "recalled",
    "not_recognised",
)


class DailyQuery(msgspec.Struct, frozen=True):
    """The query of daily statistics: UTC days, both of them included."""

    first: Annotated[date, Meta(description="29 days before `to`, unless told.")] | None = (
        msgspec.field(default=None, name="from")
    )
    last: Annotated[date, Meta(description="Today, unless told; no later day is given.")] | None = (
        msgspec.field(default=None, name="to")
    )
    factory_id: (
        Annotated[UUID, Meta(description="Of its products alone; else of all scans.")] | None
    ) = None


class DailyAnswer(msgspec.Struct, frozen=True):
    """Every UTC day of a time, the oldest first, those without scans too. `avg_risk_score` is null
    for a day without scans of known products.
    """

    days: tuple[Day, ...]


class Daily:
    """The routes over their wires."""

    def __init__(self, wires: Wires) -> None:
        self._wires = wires

    async def get(self, request: web.Request) -> web.Response:
        """As JSON."""
        _, _, days = await self._read(request)
        return json_response(DailyAnswer(tuple(days)))

    async def table(self, request: web.Request) -> web.Response:
        """As a file for a spreadsheet."""
        first, last, days = await self._read(request)
        name = f"voketag-daily-{first}-{last}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return web.Response(
            body=_csv(days), content_type="text/csv", charset="utf-8", headers=headers
        )

    async def _read(self, request: web.Request) -> tuple[date, date, list[Day]]:
        query = read_query(request, DailyQuery)
        first, last = _checked(query, datetime.now(UTC).date())
        days = (last - first).days + 1
        if days < 1:
            return first, last, []
        found = await self._wires.reads.first(
            lambda connection: stats.daily(connection, last, days, query.factory_id)
        )
        return first, last, found[::-1]


def routes(wires: Wires) -> list[Route]:
    """The routes of daily statistics."""
    over = Daily(wires)
    return [
        Route(
            "GET",
            "/v1/stats/daily",
            over.get,
            f"Statistics of up to {DAYS_MAX} days",
            {200: DailyAnswer},
            query=DailyQuery,
            security="viewer",
        ),
        Route(
            "GET",
            "/v1/stats/daily.csv",
            over.table,
            "The same as a table (RFC 4180)",
            {200: "text/csv"},
            query=DailyQuery,
            security="viewer",
        ),
    ]


def _checked(query: DailyQuery, today: date) -> tuple[date, date]:
    """The first and the last day that is asked for, the last before the first for none.

    Raises InvalidField.
    """
    last = min(query.last or today, today)
    first = query.first or date.fromordinal(max(1, last.toordinal() - DAYS_DEFAULT + 1))
    if query.last is not None and first > query.last:
        raise InvalidField("from", "A day that is not after `to` is accepted.")
    if last - first >= timedelta(days=DAYS_MAX):
        raise InvalidField("from", f"At most {DAYS_MAX} days are given at once.")
    return first, last


def _csv(days: Sequence[Day]) -> bytes:
    """What is not known is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for day in days:
        writer.writerow([getattr(day, column) for column in COLUMNS])
    return text.getvalue().encode()
