"""Scans and histories for the tests of risk, told in minutes since an arbitrary start."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import count
from uuid import UUID

from voketag.events import Location, Product, Scan
from voketag.risk.history import EMPTY, History, sighting

START_MS = 1_790_000_000_000
MINUTE_MS = 60_000
DAY = 24 * 60  # minutes
YEAR = 365 * DAY

SAO_PAULO = Location(-23.55, -46.63)
RIO = Location(-22.91, -43.17)
TOKYO = Location(35.68, 139.69)

PRODUCT = Product(
    product_id=UUID(int=1),
    batch_id=UUID(int=2),
    factory_id=UUID(int=3),
    sku="SKU",
    name="A bottle",
    serial="0001",
)
_serial = count(1)


def uuid7_at(at_ms: int) -> UUID:
    """A UUIDv7 of that time, different at each call."""
    return UUID(int=at_ms << 80 | 0x7 << 76 | 0x2 << 62 | next(_serial))


def scan(
    at_min: float = 0,
    device: str = "owner",
    country: str | None = "BR",
    location: Location | None = None,
    *,
    automated: bool = False,
    datacenter: bool = False,
) -> Scan:
    """A scan of PRODUCT, `at_min` minutes after the start."""
    at_ms = START_MS + round(at_min * MINUTE_MS)
    fingerprint = hashlib.sha256(device.encode()).hexdigest()
    return Scan(
        scan_id=uuid7_at(at_ms),
        product_id=PRODUCT.product_id,
        received_at_ms=at_ms,
        ip_hash="a" * 32,
        fingerprint_hash=fingerprint,
        country=country,
        location=location,
        automated=automated,
        datacenter=datacenter,
    )


def history_of(scans: Iterable[Scan]) -> History:
    """The history after these scans."""
    history = EMPTY
    for one in scans:
        history = history.after(sighting(one))
    return history
