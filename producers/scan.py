"""scan: answers phones. One durable round trip a scan; a forged token costs none at all."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

import msgspec
import structlog
from aiohttp import web
from prometheus_client import Counter

from producers import page_assets, scan_gate
from producers.callers import Callers
from producers.page_words import read_words
from producers.product_look_ups import ProductLookUps
from producers.scan_page import ScanPage
from producers.scan_reports import Reports
from producers.scan_requests import (
    answer,
    answer_json,
    country_of,
    location_of,
    record,
    scan_id_of,
)
from producers.scan_traces import traced_offer
from producers.verify_page import VerifyPage
from voketag import events, identifiers, metrics, traces
from voketag.acceptance import Accepted
from voketag.backpressure import Cause, Gate
from voketag.errors import InvalidField, Overloaded, Unavailable
from voketag.events import Assessment, Scan, Told, Verdict
from voketag.figures import left_in_redis
from voketag.geo import AddressRanges, Geo
from voketag.http.problems import not_found
from voketag.http.requests import decode_body, path_id
from voketag.http.routes import Posted, Route, SmallPost, json_response
from voketag.http.server import application, serve
from voketag.process import Wires, main, open_wires, refuse_forgetful
from voketag.readiness import tell_ready
from voketag.records import scans
from voketag.records.database import Connection
from voketag.redis.intake import REPLAY_WINDOW_S, Limited, Unknown, Used
from voketag.scans.answers import ReportAnswer, ScanAnswer, ScanRecord
from voketag.scans.examples import REPORTS, SCANS
from voketag.scans.requests import ReportBody, ScanRequest
from voketag.settings import Settings
from voketag.start_checks import checked
from voketag.tasks import end
from voketag.traces import RequestSpan

FLUSH_EVERY_S = 1.0
# A scan id whose own time is younger than this is still remembered by Redis, if it was accepted:
# it may lie 5 minutes ahead of its acceptance. Older ones are looked up in Postgres, and Redis
# remembers those that are not stored yet.
_REMEMBERED_MS = REPLAY_WINDOW_S * 1000 - 5 * 60_000
_NOT_RECOGNISED = Told(Assessment("not_recognised"))
_decoder = msgspec.json.Decoder(ScanRequest)
log = structlog.get_logger()


class Scanning:
    """Scans over their wires: accepted, answered, looked up."""

    def __init__(
        self, wires: Wires, callers: Callers, gate: Gate, look_ups: ProductLookUps
    ) -> None:
        self._wires = wires
        self._look_ups = look_ups
        self._callers = callers
        self._gate = gate
        self._tracer = wires.tracer("scan")

    @property
    def posted(self) -> Callable[[Posted], Awaitable[bytes]]:
        """What answers POST /v1/scans."""
        return self.post_traced_scan if self._tracer.on else self.post_scan

    async def post_traced_scan(self, request: Posted) -> bytes:
        """Answer one scan, and trace it where that is asked for or its turn."""
        traceparent = request.headers.get(traces.FIELD)
        span = self._tracer.request("POST", "/v1/scans", traceparent)
        if span is None:
            return await self.post_scan(request)
        with span:
            return await self.post_scan(request, span)

    async def post_scan(self, request: Posted, span: RequestSpan | None = None) -> bytes:
        """Answer one scan, as JSON."""
        return answer_json(await self.take(decode_body(request.body, _decoder), request, span))

    async def take(
        self, body: ScanRequest, request: Posted | web.Request, span: RequestSpan | None = None
    ) -> ScanAnswer:
        """Take a scan in, and answer it."""
        now_ms = time.time_ns() // 1_000_000
        scan_id, country = scan_id_of(body, now_ms), country_of(body)
        caller = self._callers.identify(request, body.device, now_ms)
        product_id = self._wires.settings.token_keys.verify(body.token)
        if product_id is None:
            self._callers.note_bad_token(caller, now_ms)
            return answer(scan_id, None, _NOT_RECOGNISED)
        scan = Scan(
            scan_id=scan_id,
            product_id=product_id,
            received_at_ms=now_ms,
            ip_hash=caller.address_hash,
            fingerprint_hash=caller.device_hash,
            country=country or caller.country,
            location=location_of(body),
            automated=caller.automated,
            datacenter=caller.datacenter,
            named=body.scan_id is not None,
        )
        return await self._accept(scan, span)

    async def _accept(self, scan: Scan, span: RequestSpan | None) -> ScanAnswer:
        age_ms = scan.received_at_ms - identifiers.at_ms(scan.scan_id)
        if scan.named and age_ms > _REMEMBERED_MS:
            stored = await self._stored(scan.scan_id)
            if stored is not None:
                _same_product(scan, stored.product_id)
                return answer(scan.scan_id, stored.product, stored.answered)
        try:
            shard = events.shard_of(scan.product_id, self._wires.settings.shards)
            if cause := self._gate.refusal(shard):
                outcome = await self._accepted_before(scan, cause)
            else:
                outcome = await self._offer(scan, shard, span)
        except Overloaded as error:
            raise scan_gate.refused("waiting") from error
        except Unavailable:
            metrics.REFUSED.labels("unavailable").inc()
            raise
        _same_product(scan, outcome.scan.product_id)
        told = outcome.told()
        _answered(told.assessment.verdict).inc()
        return answer(scan.scan_id, outcome.product, told)

    async def _offer(self, scan: Scan, shard: int, span: RequestSpan | None) -> Accepted:
        intake = self._wires.intake
        offer = intake.offer if span is None else traced_offer(intake, events.scans(shard), span)
        outcome = await offer(scan)
        if isinstance(outcome, Unknown):
            found = await self._look_ups.find(scan.product_id)
            outcome = await offer(scan, found)
        if isinstance(outcome, Limited):
            raise self._callers.too_many(outcome.retry_after_ms)
        if not isinstance(outcome, Accepted):
            if isinstance(outcome, Used):
                raise _used_scan_id()
            raise TypeError(f"intake gave {outcome!r} for a scan with its product")
        return outcome

    async def _accepted_before(self, scan: Scan, cause: Cause) -> Accepted:
        """While scans are refused, one that was accepted already is answered all the same."""
        if scan.named and cause != "forgetful":
            before = await self._wires.intake.accepted_before(scan)
            if before is not None:
                return before
        raise scan_gate.refused(cause)

    async def _stored(self, scan_id: UUID) -> scans.StoredScan | None:
        def ask(connection: Connection) -> Awaitable[scans.StoredScan | None]:
            return scans.stored_scan(connection, scan_id)

        return await self._wires.reads.first(ask, lambda stored: stored is not None)

    async def get_scan(self, request: web.Request) -> web.Response:
        """The record of a scan, once it is stored."""
        stored = await self._stored(path_id(request))
        if stored is None:
            raise not_found("No scan with this id is stored (yet).")
        return json_response(record(stored.scan_id, stored.product, stored.record, stored.answered))


@functools.cache  # a look-up by labels takes longer than counting
def _answered(verdict: Verdict) -> Counter:
    return metrics.SCANS.labels(verdict)


def _same_product(scan: Scan, product_id: UUID | None) -> None:
    """A scan id stands for one scan of one product."""
    if product_id is not None and product_id != scan.product_id:
        raise _used_scan_id()


def _used_scan_id() -> InvalidField:
    said = "It was used for a scan of another product; take a new one."
    return InvalidField("scan_id", said, "scan_id_used")


def routes(scanning: Scanning, reports: Reports) -> list[Route]:
    """The route table of the scan service."""
    return [
        Route(
            "POST",
            "/v1/scans",
            SmallPost(scanning.posted),
            "Scan a product",
            {200: ScanAnswer},
            body=ScanRequest,
            examples=SCANS,
            problems=(429, 503),
        ),
        Route(
            "GET",
            "/v1/scans/{id}",
            scanning.get_scan,
            "The record of a scan",
            {200: ScanRecord},
            problems=(503,),
        ),
        Route(
            "POST",
            "/v1/reports",
            reports.post_report,
            "Report a product",
            {202: ReportAnswer},
            body=ReportBody,
            examples=REPORTS,
            problems=(404, 429, 503),
        ),
    ]


async def _flush_probes(wires: Wires, callers: Callers) -> None:
    """Tell Redis, once a second, what bad tokens said of addresses and devices."""
    while True:
        await asyncio.sleep(FLUSH_EVERY_S)
        counts = callers.probes.drain()
        if not counts:
            continue
        try:
            await wires.intake.note_probes(counts)
        except Unavailable as error:
            callers.probes.restore(counts)
            log.warning("waiting", error=str(error))
        except Exception as error:  # these counts are lost; the next ones need not be
            log.exception("bug", what="bad tokens", exc_info=error)


@contextlib.asynccontextmanager
async def opened(wires: Wires) -> AsyncIterator[web.Application]:
    """The scan service, with what it does beside answering."""

    async def ready() -> None:
        await wires.streams.ping()
        await wires.database.ping()

    ranges = AddressRanges.read(wires.settings.datacenter_ranges)
    callers = Callers(wires.settings, Geo.open(wires.settings.geo_database), ranges)
    gate = Gate(wires.settings.shed_after_s)
    look_ups = ProductLookUps(wires)
    scanning, reports = Scanning(wires, callers, gate, look_ups), Reports(wires, callers)
    words = read_words()
    page = ScanPage(words, wires.settings.public_url, callers, scanning.take, reports.take)
    pages = [*page.routes(), VerifyPage(words).route(), *page_assets.routes(words)]
    table = [*routes(scanning, reports), *pages]
    flushing = asyncio.create_task(_flush_probes(wires, callers))
    watching = asyncio.create_task(scan_gate.watch(wires, gate))
    try:
        yield application("VokeTag scan", table, ready)
    finally:
        await end(flushing, watching)
        await look_ups.close()


async def run(settings: Settings, stopping: asyncio.Event) -> None:
    """The scan process. It promises that an answered scan is kept, so it looks at Redis first."""
    async with (
        open_wires(settings, database=True, replica=True) as wires,
        checked(wires, stopping),
    ):
        await refuse_forgetful(wires, stopping)
        async with left_in_redis(wires.streams, "scan"), opened(wires) as app:
            await serve(app, settings, settings.scan_port, stopping, tell_ready)


if __name__ == "__main__":
    main(run)
