"""The fastest way into Postgres that asyncpg has: COPY of plain records, with no promise kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec

from voketag import identifiers
from voketag.events import ScoredScan
from voketag.records.scans import COLUMNS


def record(scored: ScoredScan) -> tuple[Any, ...]:
    """The row of a scored scan, each value as asyncpg encodes it with the least work."""
    scan, product, assessment = scored.scan, scored.product, scored.assessment
    return (
        scan.scan_id,
        None if product is None else product.product_id,
        None if product is None else product.batch_id,
        None if product is None else product.factory_id,
        identifiers.at_time(scan.scan_id),
        identifiers.time_of_ms(scan.received_at_ms),
        assessment.verdict,
        assessment.score,
        msgspec.json.encode(assessment.reasons).decode(),
        scan.country,
        bytes.fromhex(scan.ip_hash),
        bytes.fromhex(scan.fingerprint_hash),
        None if scored.history is None else msgspec.json.encode(scored.history).decode(),
        None,
    )


async def copy(connection: asyncpg.Connection, records: Sequence[tuple[Any, ...]]) -> None:
    """Append records to scan_events and commit them."""
    await connection.copy_records_to_table("scan_events", records=records, columns=COLUMNS)
