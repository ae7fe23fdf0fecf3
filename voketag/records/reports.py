"""What people reported of products, and what became of each report."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import asyncpg
import msgspec

from voketag import identifiers
from voketag.moments import Moment
from voketag.records.database import Connection

Status = Literal["new", "in_review", "confirmed", "dismissed"]
_COLUMNS = (
    "report_id, product_id, scan_id, reason, description, reporter_email AS email, status, note, "
    "created_at, updated_at"
)
ALL = f"SELECT {_COLUMNS} FROM fraud_reports WHERE report_id < $1 ORDER BY report_id DESC LIMIT $2"
OF_STATUS = (
    f"SELECT {_COLUMNS} FROM fraud_reports WHERE status = $3 AND report_id < $1 "
    "ORDER BY report_id DESC LIMIT $2"
)


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
    connection: Connection, *, limit: int, status: Status | None = None, after: UUID | None = None
) -> list[Report]:
    """Up to `limit` reports, the newest first, from the one after `after`; of one status only
    where one is given.
    """
    first = after or UUID(int=(1 << 128) - 1)
    if status is None:
        rows = await connection.fetch(ALL, first, limit)
    else:
        rows = await connection.fetch(OF_STATUS, first, limit, status)
    return [_report(row) for row in rows]


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
    row = await connection.fetchrow(
        f"""
        UPDATE fraud_reports SET status = coalesce($2, status),
               note = CASE WHEN $4 THEN note ELSE $3 END, updated_at = now()
        WHERE report_id = $1 RETURNING {_COLUMNS}
        """,
        report_id,
        status,
        note,
        keep_note,
    )
    return None if row is None else _report(row)


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


def _report(row: asyncpg.Record) -> Report:
    return Report(**dict(row))
