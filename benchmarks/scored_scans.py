"""Scored scans such as the score group hands on, with values as wide as real ones."""

from __future__ import annotations

import random
from collections.abc import Sequence
from uuid import UUID

from voketag.events import Assessment, HistorySummary, Product, Reason, Scan, ScoredScan

COUNTRIES = ("BR", "PT", "US", "DE", "JP", "ZA")
FACTORIES = 3
_SUSPICIOUS_SHARE = 0.05
_UNKNOWN_SHARE = 0.01
_REASONS = (
    Reason("many_countries", 40, "Scanned in 4 countries."),
    Reason("repeat_scans", 10, "Scanned 12 times."),
)
_VERSION_7 = 0x7 << 76 | 0x2 << 62
_RANDOM_BITS = ((1 << 12) - 1) << 64 | ((1 << 62) - 1)


def uuid7_at(at_ms: int, random_bits: int) -> UUID:
    """The UUIDv7 of a moment (ms since the Unix epoch) with these bits in place of random ones."""
    return UUID(int=at_ms << 80 | _VERSION_7 | random_bits & _RANDOM_BITS)


def product_ids(count: int, made_at_ms: int, seed: int = 1) -> list[UUID]:
    """Ids of products that were made at one moment, in batches of a thousand, a second each."""
    chosen = random.Random(seed)
    return [
        uuid7_at(made_at_ms - 1000 * (number // 1000), chosen.getrandbits(80))
        for number in range(count)
    ]


def scored_scans(
    count: int, products: Sequence[UUID], first_at_ms: int, per_s: float, seed: int
) -> list[ScoredScan]:
    """So many scans of these products, `per_s` a second from `first_at_ms` on, in order.

    One in twenty is suspicious, one in a hundred of no known product.
    """
    chosen = random.Random(seed)
    return [
        _scored(chosen, products, first_at_ms + int(1000 * number / per_s))
        for number in range(count)
    ]


def _scored(chosen: random.Random, products: Sequence[UUID], at_ms: int) -> ScoredScan:
    product_id = chosen.choice(products)
    scan = Scan(
        uuid7_at(at_ms, chosen.getrandbits(80)),
        product_id,
        at_ms + 3,
        f"{chosen.getrandbits(128):032x}",
        f"{chosen.getrandbits(128):032x}",
        chosen.choice(COUNTRIES),
    )
    kind = chosen.random()
    if kind < _UNKNOWN_SHARE:
        return ScoredScan(scan, Assessment("not_recognised"))
    assessment = Assessment("authentic", 0)
    if kind > 1 - _SUSPICIOUS_SHARE:
        assessment = Assessment("suspicious", 50, _REASONS)
    history = HistorySummary(1 + chosen.randrange(12), at_ms - 86_400_000, COUNTRIES[:2])
    product = Product(
        product_id,
        UUID(int=product_id.int >> 80 << 80),
        UUID(int=1 + product_id.int % FACTORIES),
        "SHOE-42",
        "Running shoe",
        f"{product_id.int & (1 << 60) - 1:015X}",
        destination_countries=("BR", "PT"),
    )
    return ScoredScan(scan, assessment, product, history, first_of_day=chosen.random() < 0.5)
