"""What a factory is answered about its batches and products."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from voketag.batches.listing import Status
from voketag.moments import Moment

AnchorStatus = Literal["queued", "submitted", "included", "final", "orphaned"]


class BatchReceipt(msgspec.Struct, frozen=True):
    """A batch was accepted: it stands in Postgres, and its products are going to be made."""

    batch_id: UUID
    status: Literal["pending"]
    product_count: Annotated[int, Meta(examples=[1000])]


class BatchAnchor(msgspec.Struct, frozen=True):
    """Where a batch's root is on its way to the chain; hashes and addresses are 0x hex."""

    status: Annotated[
        AnchorStatus,
        Meta(
            description="queued: waits for a transaction. submitted: sent. included: in a block. "
            "final: under so many blocks that it stays. orphaned: its block is gone; it is "
            "anchored again.",
            examples=["final"],
        ),
    ]
    tx_hash: Annotated[str | None, Meta(examples=["0x" + "5e" * 32])]
    block_number: Annotated[int | None, Meta(examples=[48_213])]
    block_hash: Annotated[str | None, Meta(examples=["0x" + "b7" * 32])]
    chain_id: Annotated[int | None, Meta(examples=[31_337])]
    contract: Annotated[str | None, Meta(examples=["0x" + "2d" * 20])]
    root: Annotated[
        str | None,
        Meta(description="Of this batch and those anchored with it.", examples=["0x" + "9c" * 32]),
    ]


class Batch(msgspec.Struct, frozen=True):
    """A batch as its factory sees it."""

    batch_id: UUID
    factory_id: UUID
    sku: Annotated[str, Meta(examples=["SHOE-42"])]
    name: Annotated[str, Meta(examples=["Running shoe"])]
    product_count: Annotated[int, Meta(examples=[1000])]
    status: Annotated[
        Status,
        Meta(
            description="pending: accepted. processing: its products are stored and its Merkle "
            "root is known. completed: the root is final on the chain. failed: it has no products.",
            examples=["completed"],
        ),
    ]
    merkle_root: Annotated[
        str | None, Meta(description="null while pending.", examples=["0x" + "a1" * 32])
    ]
    anchor: BatchAnchor | None
    manufactured_at: Moment | None
    destination_countries: Annotated[tuple[str, ...], Meta(examples=[["BR", "PT"]])]
    attributes: Annotated[dict[str, Any] | None, Meta(examples=[{"line": 7}])]
    created_at: Moment
    stored_at: Moment | None
    completed_at: Moment | None
    recalled_at: Annotated[Moment | None, Meta(examples=[None])]
    recall_reason: Annotated[str | None, Meta(examples=[None])]


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
    at: Moment
    detail: dict[str, Any]
