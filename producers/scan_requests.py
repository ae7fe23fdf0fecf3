"""What a phone sends and what it is answered: the types, and the checks that types cannot say."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from voketag import identifiers
from voketag.errors import InvalidField
from voketag.events import Level, Location, Product, Reason, ReportReason, Told, Verdict
from voketag.identifiers import UUID7_PATTERN
from voketag.risk.countries import COUNTRIES, is_country
from voketag.risk.score import level
from voketag.tokens import TOKEN_MAX_CHARACTERS

LATE_MAX_MS = 7 * 86_400_000
EARLY_MAX_MS = 5 * 60_000

WITHOUT_NUL = r"^[^\x00]*$"
EMAIL = r"^[^@\x00-\x20]+@[^@\x00-\x20]+(?!\n)$"

_encoder = msgspec.json.Encoder()

Text = Annotated[str, Meta(max_length=200)]
Country = Annotated[
    str,
    Meta(
        pattern="^[A-Z]{2}$",
        description="ISO 3166-1 alpha-2",
        extra_json_schema={"enum": sorted(COUNTRIES)},
    ),
]


class Where(msgspec.Struct, frozen=True):
    """Where the phone is: WGS 84 degrees. Kept to a hundredth of a degree, about a kilometre."""

    lat: Annotated[float, Meta(ge=-90, le=90)]
    lon: Annotated[float, Meta(ge=-180, le=180)]


class Device(msgspec.Struct, frozen=True):
    """What an app knows of its device; only a keyed hash of it is kept."""

    install_id: Text | None = None
    model: Text | None = None
    screen: Text | None = None
    timezone: Text | None = None
    app_version: Text | None = None


class ScanRequest(msgspec.Struct, frozen=True):
    """The body of POST /v1/scans."""

    token: Annotated[str, Meta(min_length=1, max_length=TOKEN_MAX_CHARACTERS)]
    scan_id: Annotated[str, Meta(pattern=UUID7_PATTERN, description="UUIDv7")] | None = None
    country: Country | None = None
    location: Where | None = None
    device: Device | None = None


class ReportRequest(msgspec.Struct, frozen=True):
    """The body of POST /v1/reports: a scan or a token, and what is wrong with the product."""

    reason: ReportReason
    scan_id: Annotated[str, Meta(pattern=UUID7_PATTERN)] | UnsetType = UNSET
    token: Annotated[str, Meta(min_length=1, max_length=TOKEN_MAX_CHARACTERS)] | UnsetType = UNSET
    description: Annotated[str, Meta(max_length=2000, pattern=WITHOUT_NUL)] | None = None
    email: Annotated[str, Meta(max_length=254, pattern=EMAIL)] | None = None


ReportBody = Annotated[
    ReportRequest,
    Meta(extra_json_schema={"oneOf": [{"required": ["scan_id"]}, {"required": ["token"]}]}),
]


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


class ProductAnswer(msgspec.Struct, frozen=True):
    """The product as a person sees it."""

    product_id: UUID
    batch_id: UUID
    sku: str
    name: str
    serial: str
    manufactured_at: str | None


class RiskAnswer(msgspec.Struct, frozen=True):
    """The risk score, 0 to 100, and every rule that contributed to it."""

    score: int
    level: Level
    reasons: tuple[Reason, ...]


class HistoryAnswer(msgspec.Struct, frozen=True):
    """The product's scans so far, this one included."""

    scans: int
    first_scanned_at: datetime
    countries: tuple[str, ...]


class ScanAnswer(msgspec.Struct, frozen=True):
    """The answer to a scan; product, risk and history are null where we know no such product."""

    scan_id: UUID
    verdict: Verdict
    product: ProductAnswer | None = None
    risk: RiskAnswer | None = None
    history: HistoryAnswer | None = None


class Answered(msgspec.Struct, frozen=True):
    """What the person was told at the moment of the scan."""

    verdict: Verdict
    risk: RiskAnswer | None
    history: HistoryAnswer | None


class ScanRecord(ScanAnswer, frozen=True, kw_only=True):
    """The record of a scan: the score in order per product, and what the person was told."""

    answered: Answered


class ReportAnswer(msgspec.Struct, frozen=True):
    """The answer to a report."""

    report_id: UUID


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
