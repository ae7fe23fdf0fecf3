"""Who posts: keyed hashes in place of personal data, what may be known without them, and limits."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from producers.scan_requests import Device, device_text
from voketag import metrics
from voketag.addresses import PersonalHash, client_address, limited_unit
from voketag.geo import AddressRanges, Geo
from voketag.http.problems import Problem
from voketag.http.routes import Posted
from voketag.probes import ProbeTally, RateLimit
from voketag.risk.clients import is_automation
from voketag.settings import Settings


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller. `country` is that of its address, None where it is not known."""

    address_hash: str
    device_hash: str
    country: str | None
    automated: bool
    datacenter: bool


class Callers:
    """Tells callers apart and holds them to the limits."""

    def __init__(self, settings: Settings, geo: Geo, datacenters: AddressRanges) -> None:
        self._settings = settings
        self._geo = geo
        self._datacenters = datacenters
        self._hash = PersonalHash(settings.hash_key)
        self.probes = ProbeTally()
        self._bad_tokens = RateLimit(settings.scan_rate_limit)
        self._reports = RateLimit(settings.scan_rate_limit)

    def identify(self, request: web.Request | Posted, device: Device | None, now_ms: int) -> Caller:
        """The caller of a request; a browser says no more than its user agent and address."""
        forwarded = request.headers.getall("X-Forwarded-For", ())
        address = client_address(request.remote, forwarded, self._settings.trusted_proxies)
        agent = request.headers.get("User-Agent")
        unit = limited_unit(address)
        told = device_text(device)
        device_key = f"browser\x00{agent or ''}\x00{unit}" if told is None else told
        return Caller(
            address_hash=self._hash("address", unit, now_ms),
            device_hash=self._hash("device", device_key, now_ms),
            country=None if address is None else self._geo.country(address),
            automated=is_automation(agent),
            datacenter=address is not None and self._datacenters.contains(address),
        )

    def note_bad_token(self, caller: Caller, now_ms: int) -> None:
        """Count a token we did not sign. Raises Problem 429 past the caller's limit of them."""
        metrics.BAD_TOKENS.inc()
        self.probes.note(caller.address_hash, caller.device_hash)
        if wait_ms := self._bad_tokens.wait_ms(caller.address_hash, now_ms):
            raise self.too_many(wait_ms)

    def note_report(self, caller: Caller, now_ms: int) -> None:
        """Count a report. Raises Problem 429 past the caller's limit of them."""
        if wait_ms := self._reports.wait_ms(caller.address_hash, now_ms):
            raise self.too_many(wait_ms)

    def too_many(self, wait_ms: int) -> Problem:
        """The answer to a caller who has to wait."""
        metrics.REFUSED.labels("rate_limited").inc()
        limit, wait_s = self._settings.scan_rate_limit, max(1, -(-wait_ms // 1000))
        headers = {
            "Retry-After": str(wait_s),
            "RateLimit-Policy": f'"scans";q={limit};w=60',
            "RateLimit": f'"scans";r=0;t={wait_s}',
        }
        detail = f"{limit} a minute are accepted from one address; wait {wait_s} s."
        return Problem(429, "too_many_scans", detail, headers)
