"""Serials that an ERP gave for the products of a batch: each once for a factory and SKU."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from voketag.batches.submission import NAMED_MAX
from voketag.errors import Conflict
from voketag.records.binary_copy import copy_rows, field, head
from voketag.records.database import Connection

_AT_ONCE = 10_000
_COLUMNS = ("factory_id", "sku", "serial", "batch_id", "position")


class SerialsTaken(Conflict):
    """Serials of a new batch are in use already, or stand in it twice."""


async def add(
    connection: Connection, batch_id: UUID, factory_id: UUID, sku: str, serials: Sequence[str]
) -> None:
    """Store the serials of a batch. Raises SerialsTaken; `taken` says which."""
    start = head(len(_COLUMNS)) + field(factory_id.bytes) + field(sku.encode())
    batch = field(batch_id.bytes)
    for first in range(0, len(serials), _AT_ONCE):
        rows = (
            start + field(serial.encode()) + batch + field(position.to_bytes(4, "big"))
            for position, serial in enumerate(serials[first : first + _AT_ONCE], first)
        )
        try:
            await copy_rows(connection, "batch_serials", _COLUMNS, rows)
        except asyncpg.UniqueViolationError:
            raise SerialsTaken("serials are in use already") from None


async def taken(
    connection: Connection, factory_id: UUID, sku: str, serials: Sequence[str]
) -> list[str]:
    """Up to NAMED_MAX of these serials that the factory uses for this SKU already."""
    found: list[str] = []
    for first in range(0, len(serials), _AT_ONCE):
        rows = await connection.fetch(
            "SELECT serial FROM batch_serials WHERE factory_id = $1 AND sku = $2 "
            "AND serial = ANY($3::text[]) LIMIT $4",
            factory_id,
            sku,
            serials[first : first + _AT_ONCE],
            NAMED_MAX - len(found),
        )
        found += [row["serial"] for row in rows]
        if len(found) >= NAMED_MAX:
            break
    return found


async def given(connection: Connection, batch_id: UUID, start: int, stop: int) -> list[str]:
    """The serials an ERP gave for products number `start` up to `stop` of a batch."""
    rows = await connection.fetch(
        "SELECT serial FROM batch_serials WHERE batch_id = $1 AND position >= $2 "
        "AND position < $3 ORDER BY position",
        batch_id,
        start,
        stop,
    )
    return [row["serial"] for row in rows]
