"""What a phone is answered."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from voketag.events import Level, Reason, Verdict
from voketag.moments import Moment


class ProductAnswer(msgspec.Struct, frozen=True):
    """The product as a person sees it."""

    product_id: UUID
    batch_id: UUID
    sku: Annotated[str, Meta(description="The factory's name for this kind.", examples=["SHOE-42"])]
    name: Annotated[str, Meta(examples=["Running shoe"])]
    serial: Annotated[str, Meta(description="Unique for factory and SKU.", examples=["A-000417"])]
    manufactured_at: Annotated[
        str | None,
        Meta(description="RFC 3339, UTC; null: not said.", examples=["2026-03-01T00:00:00Z"]),
    ]


class RiskAnswer(msgspec.Struct, frozen=True):
    """The risk score, 0 to 100, and every rule that contributed to it."""

    score: Annotated[int, Meta(description="0 (nothing against it) to 100.", examples=[0])]
    level: Annotated[Level, Meta(examples=["low"])]
    reasons: Annotated[
        tuple[Reason, ...],
        Meta(description="Empty where nothing was found against it.", examples=[[]]),
    ]


class HistoryAnswer(msgspec.Struct, frozen=True):
    """The product's scans so far, this one included."""

    scans: Annotated[int, Meta(examples=[1])]
    first_scanned_at: Moment
    countries: Annotated[
        tuple[str, ...],
        Meta(description="ISO 3166-1 alpha-2, in order of first appearance.", examples=[["BR"]]),
    ]


class ScanAnswer(msgspec.Struct, frozen=True):
    """The answer to a scan; product, risk and history are null where we know no such product."""

    scan_id: UUID
    verdict: Annotated[
        Verdict,
        Meta(
            examples=["authentic"],
            description="authentic: nothing speaks against it. suspicious, high_risk: it was "
            "scanned as copies would be, see the reasons. recalled: by its maker. not_recognised: "
            "no product of ours has this token.",
        ),
    ]
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
