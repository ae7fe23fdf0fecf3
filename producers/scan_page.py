"""The page a phone's camera opens, GET /r/{token}, and its forms, for who has no scripts.

The page says the same for every token and asks nothing of a server: link previews and crawlers open
it too, and a GET never counts as a scan. Its script posts the scan once somebody looks at it; its
form posts it here. Each page has a scan id minted with it, so that a form sent twice counts once.
"""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable, Mapping
from typing import get_args
from uuid import UUID

import msgspec
from aiohttp import hdrs, web

from producers.callers import Callers
from producers.page_answers import problem_slots, result_slots
from producers.page_assets import language_of
from producers.page_reports import fault_slots, report_slots
from producers.page_templates import ScanTemplate
from producers.page_words import Words
from voketag import identifiers
from voketag.errors import InvalidField, Unavailable
from voketag.events import ReportReason
from voketag.http.answering import RETRY_AFTER_S
from voketag.http.problems import Problem
from voketag.http.protection import refuse_other_sites
from voketag.http.requests import read_form
from voketag.http.routes import Route
from voketag.scans.answers import ScanAnswer
from voketag.scans.requests import ReportRequest, ScanRequest

FORM_MAX_BYTES = 32 * 1024  # 2,000 characters of a description take 12 bytes each at most

TakeScan = Callable[[ScanRequest, web.Request], Awaitable[ScanAnswer]]
TakeReport = Callable[[ReportRequest, web.Request], Awaitable[UUID]]


class ScanPage:
    """The page of a code in every language, and what its forms do."""

    def __init__(
        self,
        words: Mapping[str, Words],
        public_url: str,
        callers: Callers,
        take_scan: TakeScan,
        take_report: TakeReport,
    ) -> None:
        self._words = words
        self._template = ScanTemplate(words, public_url)
        self._callers = callers
        self._take_scan = take_scan
        self._take_report = take_report

    def routes(self) -> list[Route]:
        """The page and its forms. Browsers post the forms, which are of no use to programs."""
        summary = "The page a phone's camera opens; it never counts as a scan"
        forms = "The page's forms, for who has no scripts"
        html = {200: "text/html"}
        return [
            Route("GET", "/r/{token}", self.get, summary, html),
            Route("POST", "/r/{token}", self.post, forms, html, documented=False),
        ]

    async def get(self, request: web.Request) -> web.Response:
        """The page as it is before anything was checked."""
        language = language_of(request)
        page = self._template.starts[language, self._may_be_person(request)]
        scan_id = identifiers.new_text().encode()
        headers: dict[str, str] = {hdrs.VARY: "Accept-Language, Accept-Encoding, User-Agent"}
        if "gzip" not in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            return self._respond(page.plain(scan_id), headers)
        headers[hdrs.CONTENT_ENCODING] = "gzip"
        return self._respond(page.gzip(scan_id), headers)

    def _may_be_person(self, request: web.Request) -> bool:
        """Whether the page may confirm a scan by itself: programs that say what they are, and those
        in data centres, where link previews are made, are given the button alone.
        """
        now_ms = identifiers.at_ms(identifiers.new_id())
        caller = self._callers.identify(request, None, now_ms)
        return not (caller.automated or caller.datacenter)

    async def post(self, request: web.Request) -> web.Response:
        """Take what a form of the page posts, and answer with a page."""
        refuse_other_sites(request)
        form = await read_form(request, FORM_MAX_BYTES)
        words = self._words[language_of(request, form.get("lang"))]
        if form.get("form") == "report":
            return await self._report(request, words, form)
        return await self._scan(request, words, form)

    async def _scan(
        self, request: web.Request, words: Words, form: Mapping[str, str]
    ) -> web.Response:
        token, scan_id = request.match_info["token"], form.get("scan_id", "")
        if not identifiers.is_uuid7(scan_id):
            scan_id = identifiers.new_text()
        again = {"scan_id": scan_id}
        try:
            body = msgspec.convert({"token": token}, ScanRequest)
        except msgspec.ValidationError:
            return self._page(words, problem_slots(words, "damaged") | again, 422)
        try:
            answer = await self._answer(body, scan_id, request)
        except (Problem, Unavailable) as error:
            status, wait_s = _refusal(error)
            kind = "limited" if status == 429 else "unavailable"
            return self._page(words, problem_slots(words, kind, wait_s) | again, status, wait_s)
        return self._page(words, result_slots(words, answer) | {"scan_id": str(answer.scan_id)})

    async def _answer(self, body: ScanRequest, scan_id: str, request: web.Request) -> ScanAnswer:
        try:
            return await self._take_scan(msgspec.structs.replace(body, scan_id=scan_id), request)
        except InvalidField:  # a page that lay open for a week, or a form of another product's
            return await self._take_scan(body, request)

    async def _report(
        self, request: web.Request, words: Words, form: Mapping[str, str]
    ) -> web.Response:
        given = {name: form.get(name, "").strip() for name in ("reason", "description", "email")}
        told = {name: text for name, text in given.items() if text}
        wait_s = 0
        try:
            body = msgspec.convert({"token": request.match_info["token"], **told}, ReportRequest)
            await self._take_report(body, request)
        except msgspec.ValidationError as error:
            fault, status = _field_at_fault(given, str(error)), 422
        except (Problem, Unavailable) as error:
            status, wait_s = _refusal(error)
            fault = {404: "unknown", 429: "limited"}.get(status, "unavailable")
        else:
            return self._page(words, report_slots(words))
        return self._page(words, fault_slots(words, fault, given, wait_s), status, wait_s)

    def _page(
        self, words: Words, slots: Mapping[str, str], status: int = 200, wait_s: int = 0
    ) -> web.Response:
        body = gzip.compress(self._template.answered(words, slots), 5)
        headers: dict[str, str] = {hdrs.CONTENT_ENCODING: "gzip", hdrs.VARY: "Accept-Language"}
        if wait_s:
            headers[hdrs.RETRY_AFTER] = str(wait_s)
        return self._respond(body, headers, status)

    def _respond(self, body: bytes, headers: Mapping[str, str], status: int = 200) -> web.Response:
        """Never stored on the way: two visitors with one scan id would be one scan."""
        said = {
            hdrs.CACHE_CONTROL: "no-store",
            "Content-Security-Policy": self._template.policy,
            hdrs.CONTENT_TYPE: "text/html; charset=utf-8",
            **headers,
        }
        return web.Response(body=body, status=status, headers=said)


def _refusal(error: Problem | Unavailable) -> tuple[int, int]:
    """Status, and how long to wait, in seconds."""
    if isinstance(error, Unavailable):
        return 503, RETRY_AFTER_S
    return error.status, int(error.headers.get("Retry-After", "0"))


def _field_at_fault(given: Mapping[str, str], error: str) -> str:
    """The first field of a report that will not do, by msgspec's message about one of them."""
    if given["reason"] not in get_args(ReportReason):
        return "reason"
    return "email" if "`$.email`" in error else "description"
