"""Batches as the factory service leaves them, and what register has made of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from tests.factory_floor import until
from voketag import events, identifiers
from voketag.batches.submission import CheckedBatch
from voketag.events import BatchAccepted
from voketag.process import Wires
from voketag.records import batches, serials
from voketag.records.batches import Blueprint, Origin
from voketag.redis.streams import Entry

MADE = datetime(2026, 1, 31, 8, tzinfo=UTC)


async def accept(
    wires: Wires, factory_id: UUID, count: int, given: list[str] | None = None
) -> UUID:
    """A batch as the factory service leaves it, not announced yet."""
    batch_id = identifiers.new_id()
    batch = CheckedBatch("SHOE-42", "Running shoe", count, given, MADE, (), None)
    async with wires.database.transaction() as connection:
        await batches.insert(connection, batch_id, batch, Origin(factory_id, None, b""), 1)
        if given is not None:
            await serials.add(connection, batch_id, factory_id, batch.sku, given)
    return batch_id


async def announce(wires: Wires, batch_id: UUID) -> None:
    await wires.streams.publish(events.batches(0), events.encode(BatchAccepted(batch_id)))


async def blueprint(wires: Wires, batch_id: UUID) -> Blueprint:
    async with wires.database.connection() as connection:
        found = await batches.blueprint(connection, batch_id)
    assert found is not None
    return found


async def reaches(wires: Wires, batch_id: UUID, status: str) -> None:
    async def reached() -> bool:
        return (await blueprint(wires, batch_id)).status == status

    await until(reached, f"batch {status}")


async def stored(wires: Wires, batch_id: UUID) -> dict[UUID, str]:
    async with wires.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT product_id, serial FROM products WHERE batch_id = $1", batch_id
        )
    return {row["product_id"]: row["serial"] for row in rows}


async def tree_of(wires: Wires, batch_id: UUID) -> bytes:
    async with wires.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT nodes FROM batch_trees WHERE batch_id = $1 ORDER BY chunk", batch_id
        )
    return b"".join(row["nodes"] for row in rows)


async def told(wires: Wires, stream: str) -> list[bytes]:
    entries: Any = await wires.streams.redis.xrange(stream)
    return [fields[b"event"] for _, fields in entries]


async def acknowledged(wires: Wires) -> bool:
    groups: Any = await wires.streams.redis.xinfo_groups(events.batches(0))
    length: Any = await wires.streams.redis.xlen(events.batches(0))
    return any(group["pending"] == 0 and group["entries-read"] == length for group in groups)


def entry(fields: dict[str, bytes]) -> Entry:
    return Entry(events.batches(0), "1-1", fields)
