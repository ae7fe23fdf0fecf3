"""Scans in Postgres: looked up by id, stored once, counted once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

import asyncpg
import msgspec

from voketag import identifiers
from voketag.errors import Rejected
from voketag.events import Assessment, HistorySummary, Product, Reason, ScoredScan, Told
from voketag.records.binary_copy import (
    NULL,
    copy_rows,
    field,
    head,
    jsonb,
    smallint,
    timestamptz,
    uuid,
    word,
)
from voketag.records.database import Connection
from voketag.records.known_products import product_of

COPY_TIMEOUT_S = 30.0
COLUMNS = (
    "scan_id",
    "product_id",
    "batch_id",
    "factory_id",
    "scanned_at",
    "received_at",
    "verdict",
    "risk_score",
    "risk_reasons",
    "country",
    "ip_hash",
    "fingerprint_hash",
    "history",
    "answered",
)
_HEAD = head(len(COLUMNS))
_NO_REASONS = jsonb(())
_NO_FACTORY = UUID(int=0)
_VERDICTS = ("authentic", "suspicious", "high_risk", "recalled", "not_recognised")
_DAY_MS = 86_400_000


class StoredScan(msgspec.Struct, frozen=True):
    """A scan as the record holds it, and what the person was told."""

    scan_id: UUID
    product_id: UUID | None
    product: Product | None
    record: Told
    answered: Told


async def stored_scan(connection: Connection, scan_id: UUID) -> StoredScan | None:
    """The record of a scan, None before it is stored."""
    if identifiers.at_ms(scan_id) > identifiers.LAST_MS:
        return None
    row = await connection.fetchrow(
        """
        SELECT s.*, p.serial, b.sku, b.name, b.manufactured_at, b.destination_countries
        FROM scan_events s
        LEFT JOIN products p USING (product_id)
        LEFT JOIN batches b ON b.batch_id = p.batch_id
        WHERE s.scanned_at = $1 AND s.scan_id = $2
        """,
        identifiers.at_time(scan_id),
        scan_id,
    )
    if row is None:
        return None
    product = None if row["product_id"] is None else product_of(row)
    reasons = tuple(Reason(**reason) for reason in row["risk_reasons"] or ())
    history = row["history"]
    record = Told(
        Assessment(row["verdict"], row["risk_score"], reasons),
        None if history is None else msgspec.convert(history, HistorySummary),
    )
    answered = row["answered"]
    told = record if answered is None else msgspec.convert(answered, Told)
    return StoredScan(scan_id, row["product_id"], product, record, told)


async def store(connection: Connection, scans: Sequence[ScoredScan]) -> int:
    """Store scored scans and count them in the daily statistics; gives how many were new.

    Must run inside a transaction. COPY goes straight into the table; where a row is there already
    (a replay) everything goes through a temporary table and the known ones are left out. The
    statistics count the rows really inserted, so a replay changes nothing.
    """
    rows = [_row(scan) for scan in scans]  # all of them, before the server hears of any
    try:
        async with connection.transaction():  # a savepoint: the failed COPY alone is undone
            await _copy(connection, "scan_events", rows)
        stored = list(scans)
    except asyncpg.UniqueViolationError:
        fresh = await _store_new(connection, rows)
        stored = []
        for scan in scans:
            if scan.scan.scan_id in fresh:
                fresh.discard(scan.scan.scan_id)  # twice in one batch counts once as well
                stored.append(scan)
    await _count(connection, stored)
    return len(stored)


async def _store_new(connection: Connection, rows: Sequence[bytes]) -> set[UUID]:
    # Dropped with the transaction: behind PgBouncer the next one may run on another connection.
    await connection.execute(
        "CREATE TEMPORARY TABLE incoming_scans (LIKE scan_events) ON COMMIT DROP"
    )
    await _copy(connection, "incoming_scans", rows)
    inserted = await connection.fetch(
        "INSERT INTO scan_events SELECT * FROM incoming_scans ON CONFLICT DO NOTHING "
        "RETURNING scan_id"
    )
    return {row["scan_id"] for row in inserted}


async def _copy(connection: Connection, table: str, rows: Sequence[bytes]) -> None:
    await copy_rows(connection, table, COLUMNS, rows, COPY_TIMEOUT_S)


def _row(scored: ScoredScan) -> bytes:
    """A scan as COPY takes it. Raises Rejected for one that no row can hold."""
    try:
        return b"".join(_fields(scored))
    except (ValueError, OverflowError) as error:
        raise Rejected(f"scan {scored.scan.scan_id} cannot be stored: {error}") from error


def _fields(scored: ScoredScan) -> tuple[bytes, ...]:
    """The head of a row and each of COLUMNS, in that order."""
    scan, product, assessment = scored.scan, scored.product, scored.assessment
    return (
        _HEAD,
        uuid(scan.scan_id),
        NULL if product is None else uuid(product.product_id),
        NULL if product is None else uuid(product.batch_id),
        NULL if product is None else uuid(product.factory_id),
        timestamptz(identifiers.at_ms(scan.scan_id)),
        timestamptz(scan.received_at_ms),
        word(assessment.verdict),
        NULL if assessment.score is None else smallint(assessment.score),
        jsonb(assessment.reasons) if assessment.reasons else _NO_REASONS,
        NULL if scan.country is None else word(scan.country),
        field(bytes.fromhex(scan.ip_hash)),
        field(bytes.fromhex(scan.fingerprint_hash)),
        NULL if scored.history is None else jsonb(scored.history),
        NULL if scored.answered is None else jsonb(scored.answered),
    )


async def _count(connection: Connection, scans: Sequence[ScoredScan]) -> None:
    """Add scans to the daily statistics, one statement for all days and factories."""
    totals: dict[tuple[int, UUID], list[int]] = defaultdict(lambda: [0] * 8)
    for scored in scans:
        factory = _NO_FACTORY if scored.product is None else scored.product.factory_id
        sums = totals[identifiers.at_ms(scored.scan.scan_id) // _DAY_MS, factory]
        sums[0] += 1
        sums[1] += scored.first_of_day
        sums[2] += scored.assessment.score or 0
        sums[3 + _VERDICTS.index(scored.assessment.verdict)] += 1
    if not totals:
        return
    # In one order everywhere, so that two writers never wait for each other in a circle.
    keys = sorted(totals)
    columns = zip(*(totals[key] for key in keys), strict=True)
    await connection.execute(
        """
        INSERT INTO scan_stats_daily AS kept
        SELECT * FROM unnest($1::date[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[],
                             $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[])
        ON CONFLICT (day, factory_id) DO UPDATE SET
            scans = kept.scans + excluded.scans,
            unique_products = kept.unique_products + excluded.unique_products,
            risk_score_sum = kept.risk_score_sum + excluded.risk_score_sum,
            authentic = kept.authentic + excluded.authentic,
            suspicious = kept.suspicious + excluded.suspicious,
            high_risk = kept.high_risk + excluded.high_risk,
            recalled = kept.recalled + excluded.recalled,
            not_recognised = kept.not_recognised + excluded.not_recognised
        """,
        [identifiers.time_of_ms(day * _DAY_MS).date() for day, _ in keys],
        [factory for _, factory in keys],
        *(list(column) for column in columns),
    )
