"""What people reported of products, and what became of each report."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from voketag import identifiers
from voketag.moments import Moment
from voketag.records.database import Connection

Status = Literal["new", "in_review", "confirmed", "dismissed"]
_COLUMNS = (
    "report_id, product_id, scan_id, reason, description, reporter_email AS email, status, note, "
    "created_at, updated_at"
)
# With what is known of the product: a report of a scan of none has nulls there. LIMIT has each
# product looked up by its key, be the table large or small.
_NAMED = """
    SELECT r.*, p.*
    FROM ({reports}) AS r LEFT JOIN LATERAL (
        SELECT serial, batch_id, b.sku, b.name, factory_id, f.name AS factory_name
        FROM products JOIN batches b USING (batch_id) JOIN factories f USING (factory_id)
        WHERE product_id = r.product_id LIMIT 1
    ) AS p ON true ORDER BY report_id DESC
"""
CHANGED = """
    SELECT DISTINCT product_id FROM fraud_reports WHERE updated_at >= $1 AND product_id > $2
    ORDER BY product_id LIMIT $3
"""
_ONE = _NAMED.format(reports=f"SELECT {_COLUMNS} FROM fraud_reports WHERE report_id = $1")


@dataclass(frozen=True, slots=True)
class Report:
    """A report as the people who look into it see it."""

    report_id: UUID
    product_id: UUID | None
    scan_id: UUID | None
    reason: str
    description: str | None
    email: str | None
    status: Status
    note: str | None
    created_at: Moment
    updated_at: Moment
    serial: str | None
    batch_id: UUID | None
    sku: str | None
    name: str | None
    factory_id: UUID | None
    factory_name: str | None


@dataclass(frozen=True, slots=True)
class ReportInShort:
    """A report without the words and the address of whoever made it."""

    report_id: UUID
    reason: str
    status: Status
    created_at: Moment
    updated_at: Moment


@dataclass(frozen=True, slots=True)
class Standing:
    """What the reports of one product come to: the keyed address hashes, in hexadecimal, of those
    with a report that was not dismissed, and of those whose every report was.
    """

    product_id: UUID
    believed: tuple[str, ...] = ()
    dismissed: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nobody has reported anything."""
        return not (self.believed or self.dismissed)


async def insert_report(
    connection: Connection,
    report_id: UUID,
    product_id: UUID | None,
    scan_id: UUID | None,
    reason: str,
    description: str | None,
    email: str | None,
    reporter_hash: bytes,
) -> UUID:
    """Store a new report; gives its id, or that of the same person's same report of the same UTC
    day, which stays as it is: whoever gets no answer asks again.
    """
    content = (product_id, scan_id, reason, description, email, reporter_hash.hex())
    day = identifiers.at_time(report_id).date()
    stored: UUID = await connection.fetchval(
        """
        INSERT INTO fraud_reports (report_id, product_id, scan_id, reason, description,
                                   reporter_email, reporter_hash, content_hash)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (content_hash) DO UPDATE SET content_hash = excluded.content_hash
        RETURNING report_id
        """,
        report_id,
        product_id,
        scan_id,
        reason,
        description,
        email,
        reporter_hash,
        hashlib.sha256(msgspec.json.encode((day, *content))).digest(),
    )
    return stored


async def list_reports(
    connection: Connection,
    *,
    limit: int,
    status: Status | None = None,
    product_id: UUID | None = None,
    after: UUID | None = None,
) -> list[Report]:
    """Up to `limit` reports, the newest first, from the one after `after`; of one status or product
    only where one is given.
    """
    statement, values = list_query(limit, status, product_id, after)
    return [Report(**dict(row)) for row in await connection.fetch(statement, *values)]


def list_query(
    limit: int, status: Status | None, product_id: UUID | None, after: UUID | None
) -> tuple[str, list[Any]]:
    """The statement of a page of reports, and its values."""
    conditions = ["report_id < $1"]
    values: list[Any] = [after or UUID(int=(1 << 128) - 1), limit]
    for column, wanted in (("status", status), ("product_id", product_id)):
        if wanted is not None:
            values.append(wanted)
            conditions.append(f"{column} = ${len(values)}")
    page = (
        f"SELECT {_COLUMNS} FROM fraud_reports WHERE {' AND '.join(conditions)} "
        "ORDER BY report_id DESC LIMIT $2"
    )
    return _NAMED.format(reports=page), values


async def find_report(connection: Connection, report_id: UUID) -> Report | None:
    """One report, None where there is none with this id."""
    row = await connection.fetchrow(_ONE, report_id)
    return None if row is None else Report(**dict(row))


async def of_product(connection: Connection, product_id: UUID, limit: int) -> list[ReportInShort]:
    """Up to `limit` reports of a product, the newest first."""
    rows = await connection.fetch(
        "SELECT report_id, reason, status, created_at, updated_at FROM fraud_reports "
        "WHERE product_id = $1 ORDER BY report_id DESC LIMIT $2",
        product_id,
        limit,
    )
    return [ReportInShort(**dict(row)) for row in rows]


async def status_locked(connection: Connection, report_id: UUID) -> Status | None:
    """A report's status, which nobody else changes until this transaction ends."""
    status: Status | None = await connection.fetchval(
        "SELECT status FROM fraud_reports WHERE report_id = $1 FOR UPDATE", report_id
    )
    return status


async def change_report(
    connection: Connection,
    report_id: UUID,
    *,
    status: Status | None,
    note: str | None,
    keep_note: bool,
) -> Report | None:
    """Set a report's status (None: as it is) and note; gives it as it is then, None where there is
    no such report.
    """
    await connection.execute(
        """
        UPDATE fraud_reports SET status = coalesce($2, status),
               note = CASE WHEN $4 THEN note ELSE $3 END, updated_at = now()
        WHERE report_id = $1
        """,
        report_id,
        status,
        note,
        keep_note,
    )
    return await find_report(connection, report_id)


async def standing_of(connection: Connection, product_id: UUID) -> Standing:
    """What the reports of a product come to now."""
    (standing,) = await standings_of(connection, [product_id])
    return standing


async def standings_of(connection: Connection, product_ids: Sequence[UUID]) -> list[Standing]:
    """What the reports of each of these products come to now, in their order."""
    rows = await connection.fetch(
        "SELECT product_id, reporter_hash, bool_and(status = 'dismissed') AS dismissed "
        "FROM fraud_reports WHERE product_id = ANY($1) GROUP BY product_id, reporter_hash",
        product_ids,
    )
    reporters: dict[tuple[UUID, bool], list[str]] = defaultdict(list)
    for row in rows:
        reporters[row["product_id"], row["dismissed"]].append(row["reporter_hash"].hex())
    return [
        Standing(key, tuple(reporters[key, False]), tuple(reporters[key, True]))
        for key in product_ids
    ]


async def changed_since(
    connection: Connection, since: datetime, after: UUID | None, limit: int
) -> list[UUID]:
    """Up to `limit` products with a report that was made or changed since then, in the order of
    their ids from the one that follows `after`.
    """
    rows = await connection.fetch(CHANGED, since, after or UUID(int=0), limit)
    return [row["product_id"] for row in rows]
