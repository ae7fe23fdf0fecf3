"""What a factory is answered about its batches and products."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from voketag.batches.submission import Status

AnchorStatus = Literal["queued", "submitted", "included", "final", "orphaned"]


class BatchReceipt(msgspec.Struct, frozen=True):
    """A batch was accepted: it stands in Postgres, and its products are going to be made."""

    batch_id: UUID
    status: Literal["pending"]
    product_count: int


class BatchAnchor(msgspec.Struct, frozen=True):
    """Where a batch's root is on its way to the chain; hashes and addresses are 0x hex."""

    status: AnchorStatus
    tx_hash: str | None
    block_number: int | None
    block_hash: str | None
    chain_id: int | None
    contract: str | None
    root: str | None


class Batch(msgspec.Struct, frozen=True):
    """A batch as its factory sees it."""

    batch_id: UUID
    factory_id: UUID
    sku: str
    name: str
    product_count: int
    status: Status
    merkle_root: str | None
    anchor: BatchAnchor | None
    manufactured_at: datetime | None
    destination_countries: tuple[str, ...]
    attributes: dict[str, Any] | None
    created_at: datetime
    stored_at: datetime | None
    completed_at: datetime | None
    recalled_at: datetime | None
    recall_reason: str | None


class BatchPage(msgspec.Struct, frozen=True):
    """Some batches, the newest first, and the cursor of the page after them."""

    batches: tuple[Batch, ...]
    next_cursor: str | None


class NamedBatch(Batch, frozen=True):
    """A batch as the people of the brand see it: with the name of its factory."""

    factory_name: str


class NamedBatchPage(msgspec.Struct, frozen=True):
    """Some batches of any factory, the newest first, and the cursor of the page after them."""

    batches: tuple[NamedBatch, ...]
    next_cursor: str | None


class ProductLine(msgspec.Struct, frozen=True):
    """One product of an export: what a printer or a tag writer needs."""

    product_id: str
    serial: str
    token: str
    verification_url: str


class BatchEvent(msgspec.Struct, frozen=True):
    """Something that happened to a batch, as its factory hears of it (GET /v1/events)."""

    notice_id: UUID
    factory_id: UUID
    kind: Annotated[
        str,
        Meta(
            description="batch.processing, batch.completed, batch.failed or batch.recalled; "
            "others may be added.",
            examples=["batch.completed"],
        ),
    ]
    batch_id: UUID
    at: datetime
    detail: dict[str, Any]
