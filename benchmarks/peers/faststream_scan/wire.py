"""What the API and the consumer agree on: the stream, the keys, the event."""

from __future__ import annotations

from typing_extensions import TypedDict  # FastStream's pydantic takes no other before Python 3.12

STREAM, GROUP = "scans", "store"
STREAM_MAX_LENGTH = 1_000_000  # about 300 MB; older events are gone, stored or not
CONSUMER_READY = "consumer:ready"


class Event(TypedDict):
    """A scan on its way to Postgres."""

    scan_id: str
    product_id: str
    ip_hash: str
    fingerprint_hash: str
    country: str | None
    at_ms: int


def history_key(product_id: object) -> str:
    """Where a product's history is kept, as JSON. The consumer alone writes it."""
    return f"history:{product_id}"
