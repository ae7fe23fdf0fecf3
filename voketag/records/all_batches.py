"""Batches of every factory together, for those who look after all of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from voketag import identifiers
from voketag.batches.answers import NamedBatch
from voketag.batches.listing import Status
from voketag.records.batches import VIEW, batch_of
from voketag.records.database import Connection

NAMED_VIEW = f"""
    SELECT v.*, f.name AS factory_name FROM ({VIEW}) AS v JOIN factories f USING (factory_id)
"""


async def find(connection: Connection, batch_id: UUID) -> NamedBatch | None:
    """A batch, None where there is none with this id."""
    row = await connection.fetchrow(NAMED_VIEW + "WHERE v.batch_id = $1", batch_id)
    return None if row is None else _named(row)


async def page(
    connection: Connection,
    *,
    factory_id: UUID | None,
    status: Status | None,
    created_after: datetime | None,
    after: UUID | None,
    limit: int,
) -> list[NamedBatch]:
    """Up to `limit` batches, the newest first, from the one that follows `after`."""
    statement, values = page_query(factory_id, status, created_after, after, limit)
    return [_named(row) for row in await connection.fetch(statement, *values)]


def page_query(
    factory_id: UUID | None,
    status: Status | None,
    created_after: datetime | None,
    after: UUID | None,
    limit: int,
) -> tuple[str, list[Any]]:
    """The statement of a page, and its values. A batch's id begins with the time at which it was
    made, so the order of ids is that of time; of one factory there is an index by time.
    """
    conditions: list[str] = []
    values: list[Any] = [limit]

    def given(value: object) -> str:
        values.append(value)
        return f"${len(values)}"

    if factory_id is not None:
        conditions.append(f"v.factory_id = {given(factory_id)}")
    if status is not None:
        conditions.append(f"v.status = {given(status)}")
    if created_after is not None:
        first = UUID(int=max(0, identifiers.ms_of_time(created_after)) << 80)
        conditions.append(f"v.batch_id >= {given(first)} AND v.created_at > {given(created_after)}")
    if after is not None:
        conditions.append(
            f"(v.created_at, v.batch_id) < ({given(identifiers.at_time(after))}, {given(after)})"
            if factory_id is not None
            else f"v.batch_id < {given(after)}"
        )
    where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
    order = "v.created_at DESC, v.batch_id DESC" if factory_id is not None else "v.batch_id DESC"
    return f"{NAMED_VIEW} {where}ORDER BY {order} LIMIT $1", values


def _named(row: asyncpg.Record) -> NamedBatch:
    known = msgspec.structs.asdict(batch_of(row))
    return NamedBatch(**known, factory_name=row["factory_name"])
