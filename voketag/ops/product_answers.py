"""What the API of products gives to those who look into one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from voketag import identifiers
from voketag.batches.listing import Status
from voketag.events import Level, Location, Reason, Verdict
from voketag.records.product_pages import FoundProduct, ProductScan
from voketag.records.reports import ReportInShort
from voketag.risk.history import History
from voketag.risk.score import level

HASH_CHARACTERS = 8
SCANS_MAX = 500
SCANS_DEFAULT = 50
QUERY_MAX_CHARACTERS = 512


class BatchInShort(msgspec.Struct, frozen=True):
    """The batch of a product."""

    batch_id: UUID
    sku: str
    name: str
    status: Status
    manufactured_at: datetime | None
    recalled_at: datetime | None
    recall_reason: str | None


class FactoryInShort(msgspec.Struct, frozen=True):
    """The factory of a product."""

    factory_id: UUID
    name: str


class ProductInShort(msgspec.Struct, frozen=True):
    """A product that was found."""

    product_id: UUID
    serial: str
    batch: BatchInShort
    factory: FactoryInShort
    recalled: bool


class ProductsFound(msgspec.Struct, frozen=True):
    """The products that were looked for: one, or none."""

    products: tuple[ProductInShort, ...]


class ProductHistory(msgspec.Struct, frozen=True):
    """A product's scans in sum, as the rules see them. `devices` is the most there were in one
    calendar month: a device is known by another hash in each. Countries and devices are counted up
    to 64.
    """

    scans: int
    first_scanned_at: datetime
    last_scanned_at: datetime
    countries: tuple[str, ...]
    devices: int


class Score(msgspec.Struct, frozen=True):
    """A score of record; without a known product there is a verdict alone."""

    verdict: Verdict
    score: int | None
    level: Level | None
    reasons: tuple[Reason, ...]


class Product(ProductInShort, frozen=True):
    """A product with what is known of it. `history` and `score` are null before its first scan is
    scored; the score is that of the newest scan that is stored. `token_url` is what its code
    leads to, null for a viewer, who could make codes of it, and where its key is retired.
    """

    token_url: str | None
    history: ProductHistory | None
    score: Score | None
    reports: tuple[ReportInShort, ...]


class ProductScanAnswer(Score, frozen=True):
    """A scan of a product as it stands in the record. The device is the beginning of its keyed
    hash, another one each month. Exact locations are not stored: `location` is null.
    """

    scan_id: UUID
    scanned_at: datetime
    country: str | None
    location: Location | None
    device: str


class ScanPage(msgspec.Struct, frozen=True):
    """Some scans of a product, the newest first, and the cursor of the page after them."""

    scans: tuple[ProductScanAnswer, ...]
    next_cursor: str | None


class ScanQuery(msgspec.Struct, frozen=True):
    """The query of GET /v1/products/{id}/scans."""

    limit: Annotated[int, Meta(ge=1, le=SCANS_MAX)] = SCANS_DEFAULT
    cursor: Annotated[str, Meta(description="next_cursor of the page before.")] | None = None


class ProductQuery(msgspec.Struct, frozen=True):
    """The query of GET /v1/products."""

    q: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=QUERY_MAX_CHARACTERS,
            description="A product id, a token, a verification URL; with `batch_id` also a serial.",
        ),
    ]
    batch_id: UUID | None = None


def in_short(found: FoundProduct) -> ProductInShort:
    """A product in a list."""
    batch = BatchInShort(
        found.batch_id,
        found.sku,
        found.name,
        found.status,
        found.manufactured_at,
        found.recalled_at,
        found.recall_reason,
    )
    factory = FactoryInShort(found.factory_id, found.factory_name)
    recalled = found.recalled_at is not None
    return ProductInShort(found.product_id, found.serial, batch, factory, recalled)


def whole(
    found: FoundProduct,
    token_url: str | None,
    history: History | None,
    last: ProductScan | None,
    reports: Sequence[ReportInShort],
) -> Product:
    """A product by itself."""
    return Product(
        **msgspec.structs.asdict(in_short(found)),
        token_url=token_url,
        history=None if history is None or not history.scans else _history(history),
        score=None if last is None else Score(*_score(last)),
        reports=tuple(reports),
    )


def scan(one: ProductScan) -> ProductScanAnswer:
    """A scan in a list."""
    return ProductScanAnswer(
        *_score(one),
        scan_id=one.scan_id,
        scanned_at=one.scanned_at,
        country=one.country,
        location=None,
        device=one.fingerprint_hash.hex()[:HASH_CHARACTERS],
    )


def _history(history: History) -> ProductHistory:
    return ProductHistory(
        history.scans,
        identifiers.time_of_ms(history.first_at_ms),
        identifiers.time_of_ms(history.last_at_ms),
        history.countries,
        max(history.most_devices, len(history.devices)),
    )


def _score(one: ProductScan) -> tuple[Verdict, int | None, Level | None, tuple[Reason, ...]]:
    score = one.risk_score
    reasons = msgspec.convert(one.risk_reasons or (), tuple[Reason, ...])
    return one.verdict, score, None if score is None else level(score), reasons
