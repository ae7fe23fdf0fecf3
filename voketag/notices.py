"""Notices: what a factory is told of its batches, and the Pub/Sub channel it is told on."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from voketag import identifiers
from voketag.events import Notice

Kind = Literal["batch.processing", "batch.completed", "batch.failed", "batch.recalled"]
ALL_CHANNELS = "factory:*"


def channel(factory_id: UUID) -> str:
    """The channel of one factory's notices."""
    return f"factory:{factory_id}"


def notice_id(batch_id: UUID, kind: Kind) -> UUID:
    """The id of the one notice of a kind that a batch gives rise to.

    A UUIDv7 with the batch's time and bits of SHA-256(batch id, kind): whoever hears it twice can
    tell.
    """
    digest = hashlib.sha256(batch_id.bytes + kind.encode()).digest()
    random = int.from_bytes(digest[:10], "big")
    random = random & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62
    return UUID(int=batch_id.int >> 80 << 80 | random)


def of_batch(
    kind: Kind,
    batch_id: UUID,
    factory_id: UUID,
    at: datetime,
    detail: dict[str, Any] | None = None,
) -> Notice:
    """The notice that something became of a batch at a time."""
    at_ms = identifiers.ms_of_time(at)
    return Notice(notice_id(batch_id, kind), factory_id, kind, batch_id, at_ms, detail or {})
