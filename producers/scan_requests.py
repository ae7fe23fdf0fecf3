"""What a phone sends and what it is answered: the checks that types cannot say, and the answers
made from what was told.
"""

from __future__ import annotations

from uuid import UUID

import msgspec

from voketag import identifiers
from voketag.errors import InvalidField
from voketag.events import Location, Product, Told
from voketag.risk.countries import is_country
from voketag.risk.score import level
from voketag.scans.answers import (
    Answered,
    HistoryAnswer,
    ProductAnswer,
    RiskAnswer,
    ScanAnswer,
    ScanRecord,
)
from voketag.scans.requests import Device, ScanRequest

LATE_MAX_MS = 7 * 86_400_000
EARLY_MAX_MS = 5 * 60_000

_encoder = msgspec.json.Encoder()


# ---------------------------------------------------------------------- checks


def scan_id_of(request: ScanRequest, now_ms: int) -> UUID:
    """The scan's id: the caller's own, or a new one.

    Raises InvalidField where the time inside the caller's id is too old or lies ahead.
    """
    if request.scan_id is None:
        return identifiers.new_id()
    scan_id = UUID(request.scan_id)
    age_ms = now_ms - identifiers.at_ms(scan_id)
    if not -EARLY_MAX_MS <= age_ms <= LATE_MAX_MS:
        raise InvalidField(
            "scan_id",
            "The time inside it may lie up to 7 days back and 5 minutes ahead; it lies "
            f"{abs(age_ms) // 1000} seconds {'back' if age_ms > 0 else 'ahead'}.",
            "scan_time_out_of_range",
        )
    return scan_id


def country_of(request: ScanRequest) -> str | None:
    """The caller's country. Raises InvalidField for two letters that are no country."""
    if request.country is not None and not is_country(request.country):
        raise InvalidField(
            "country", "An ISO 3166-1 alpha-2 code such as BR is accepted.", "invalid_country"
        )
    return request.country


def location_of(request: ScanRequest) -> Location | None:
    """Where the phone is, coarsened: a precise place is personal data nobody here needs."""
    where = request.location
    return None if where is None else Location(round(where.lat, 2), round(where.lon, 2))


def device_text(device: Device | None) -> str | None:
    """What tells devices apart, as one text to be hashed; None where the app says nothing.

    An install id is enough by itself; without one, the properties together have to do.
    """
    if device is None:
        return None
    if device.install_id:
        return f"install\x00{device.install_id}"
    parts = (device.model, device.screen, device.timezone)
    return "\x00".join(part or "" for part in parts) if any(parts) else None


# ---------------------------------------------------------------------- answers


def answer(scan_id: UUID, product: Product | None, told: Told) -> ScanAnswer:
    """The answer to a scan that was told `told`."""
    verdict = told.assessment.verdict
    return ScanAnswer(scan_id, verdict, _product(product), _risk(told), _history(told))


def answer_json(given: ScanAnswer) -> bytes:
    """An answer as JSON."""
    return _encoder.encode(given)


def record(scan_id: UUID, product: Product | None, kept: Told, told: Told) -> ScanRecord:
    """The body for a stored scan."""
    return ScanRecord(
        scan_id=scan_id,
        verdict=kept.assessment.verdict,
        product=_product(product),
        risk=_risk(kept),
        history=_history(kept),
        answered=Answered(told.assessment.verdict, _risk(told), _history(told)),
    )


def _product(product: Product | None) -> ProductAnswer | None:
    if product is None:
        return None
    return ProductAnswer(
        product.product_id,
        product.batch_id,
        product.sku,
        product.name,
        product.serial,
        product.manufactured_at,
    )


def _risk(told: Told) -> RiskAnswer | None:
    points = told.assessment.score
    if points is None:
        return None
    return RiskAnswer(points, level(points), told.assessment.reasons)


def _history(told: Told) -> HistoryAnswer | None:
    if told.history is None:
        return None
    first = identifiers.time_of_ms(told.history.first_scanned_at_ms)
    return HistoryAnswer(told.history.scans, first, told.history.countries)
