"""Reports of people: stored, and a signal for the product's risk, once an address."""

from __future__ import annotations

import time
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import UNSET

from producers.callers import Caller, Callers
from voketag import identifiers, standing
from voketag.errors import InvalidField
from voketag.http.problems import Problem
from voketag.http.requests import read_body
from voketag.http.routes import json_response
from voketag.process import Wires
from voketag.records import reports, scans
from voketag.records.known_products import products_for_scans
from voketag.scans.answers import ReportAnswer
from voketag.scans.requests import ReportRequest

_decoder = msgspec.json.Decoder(ReportRequest)


class Reports:
    """POST /v1/reports over its wires."""

    def __init__(self, wires: Wires, callers: Callers) -> None:
        self._wires = wires
        self._callers = callers

    async def post_report(self, request: web.Request) -> web.Response:
        """Take a report of an app, or of the page's script."""
        body = await read_body(request, _decoder)
        _check(body)
        return json_response(ReportAnswer(await self.take(body, request)), 202)

    async def take(self, body: ReportRequest, request: web.Request) -> UUID:
        """Take a report and give its id: stored first, once a day where it is the same, and then
        scans are told what the product's reports come to. So a caller who tries again after a
        failure changes nothing, and does not bring back a report that was dismissed meanwhile. For
        one who does not try again, maintain tells.
        """
        now_ms = time.time_ns() // 1_000_000
        caller = self._callers.identify(request, None, now_ms)
        self._callers.note_report(caller, now_ms)
        product_id = await self._reported_product(body, caller, now_ms)
        told = None
        async with self._wires.database.connection() as connection:
            report_id = await reports.insert_report(
                connection,
                identifiers.new_id(),
                product_id,
                UUID(body.scan_id) if body.scan_id else None,
                body.reason,
                body.description,
                body.email,
                bytes.fromhex(caller.address_hash),
            )
            if product_id is not None:
                told = await reports.standing_of(connection, product_id)
        if told is not None:
            await standing.tell_reporters(self._wires.intake, told)
        return report_id

    async def _reported_product(
        self, body: ReportRequest, caller: Caller, now_ms: int
    ) -> UUID | None:
        if body.scan_id:
            async with self._wires.database.connection() as connection:
                stored = await scans.stored_scan(connection, UUID(body.scan_id))
            if stored is None:
                raise Problem(404, "unknown_scan", "No scan with this id is stored (yet).")
            return stored.product_id
        product_id = self._wires.settings.token_keys.verify(body.token or "")
        if product_id is None:
            self._callers.note_bad_token(caller, now_ms)
        else:
            async with self._wires.database.connection() as connection:
                if await products_for_scans(connection, [product_id]):
                    return product_id
        raise Problem(404, "unknown_token", "We know no product with this token.")


def _check(body: ReportRequest) -> None:
    if (body.scan_id is UNSET) == (body.token is UNSET):
        raise InvalidField("scan_id", "Exactly one of scan_id and token is needed.")
