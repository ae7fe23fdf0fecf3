"""Who posts: keyed hashes in place of personal data, what may be known without them, and limits."""

from __future__ import annotations

import functools

import msgspec
from aiohttp import web

from producers.scan_requests import device_text
from voketag import metrics
from voketag.addresses import PersonalHash, client_address, limited_unit
from voketag.geo import AddressRanges, Geo
from voketag.http.problems import Problem
from voketag.http.routes import Posted
from voketag.probes import ProbeTally, RateLimit
from voketag.risk.clients import is_automation
from voketag.scans.requests import Device
from voketag.settings import Settings

# Where requests came from lately: the people behind a carrier's or an office's address share it,
# and a phone asks more than once.
ORIGINS = 8192
_DAY_MS = 86_400_000


class Origin(msgspec.Struct, frozen=True):
    """What an address stands for; `unit` is what limits count."""

    unit: str
    address_hash: str
    country: str | None
    datacenter: bool


class Caller(msgspec.Struct, frozen=True):
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
        self._origin = functools.lru_cache(maxsize=ORIGINS)(self._look_up_origin)
        self.probes = ProbeTally()
        self._bad_tokens = RateLimit(settings.scan_rate_limit)
        self._reports = RateLimit(settings.scan_rate_limit)

    def identify(self, request: web.Request | Posted, device: Device | None, now_ms: int) -> Caller:
        """The caller of a request; a browser says no more than its user agent and address."""
        forwarded = tuple(request.headers.getall("X-Forwarded-For", ()))
        origin = self._origin(request.remote, forwarded, now_ms // _DAY_MS)
        agent = request.headers.get("User-Agent")
        told = device_text(device)
        device_key = f"browser\x00{agent or ''}\x00{origin.unit}" if told is None else told
        return Caller(
            address_hash=origin.address_hash,
            device_hash=self._hash("device", device_key, now_ms),
            country=origin.country,
            automated=is_automation(agent),
            datacenter=origin.datacenter,
        )

    def _look_up_origin(self, peer: str | None, forwarded: tuple[str, ...], day: int) -> Origin:
        """The origin of a request on a UTC day: hashes change with the month."""
        address = client_address(peer, forwarded, self._settings.trusted_proxies)
        unit = limited_unit(address)
        return Origin(
            unit=unit,
            address_hash=self._hash("address", unit, day * _DAY_MS),
            country=None if address is None else self._geo.country(address),
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
