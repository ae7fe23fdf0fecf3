"""Scored scans as the score group hands them on, and what persist made of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from uuid import UUID

from voketag import events, identifiers
from voketag.events import Assessment, HistorySummary, Product, Reason, Scan, ScoredScan
from voketag.process import Wires
from voketag.records import stats
from voketag.records.database import Connection
from voketag.records.known_products import histories_of
from voketag.risk.history import History


def scored(number: int, at_ms: int | None = None) -> ScoredScan:
    """A scored scan; every fifth is of no known product."""
    now_ms = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    scan_id = UUID(int=(now_ms << 80) | (identifiers.new_id().int & ((1 << 80) - 1)))
    product = None
    assessment = Assessment("not_recognised")
    history = None
    if number % 5:
        factory_id = UUID(int=1 + number % 3)
        product = Product(identifiers.new_id(), identifiers.new_id(), factory_id, "S", "N", "1")
        reasons = (Reason("many_devices", 45, "Scanned by 6 different devices."),)
        assessment = Assessment("suspicious", 45, reasons)
        history = HistorySummary(3, now_ms, ("BR",))
    return ScoredScan(
        scan=Scan(scan_id, product.product_id if product else UUID(int=9), now_ms, "0a", "0b"),
        assessment=assessment,
        product=product,
        history=history,
        first_of_day=product is not None,
    )


async def publish(wires: Wires, items: Sequence[ScoredScan]) -> None:
    for item in items:
        await wires.streams.publish(events.scored(0), events.encode(item))


async def rows(wires: Wires) -> int:
    async with wires.database.connection() as connection:
        return int(await connection.fetchval("SELECT count(*) FROM scan_events"))


async def acknowledged(wires: Wires) -> bool:
    (group,) = await wires.streams.redis.xinfo_groups(events.scored(0))
    return bool(group["lag"] == 0 and group["pending"] == 0)


async def nothing_buried(wires: Wires) -> bool:
    return not await wires.streams.redis.exists(events.scored(0) + events.DEAD_SUFFIX)


async def statistics_hold(wires: Wires) -> bool:
    """Whether the daily statistics equal a recount of the rows."""
    async with wires.database.connection() as connection:
        return await stats.differences(connection) == []


async def rebuilt_history(connection: Connection, product_id: UUID) -> History | None:
    """A product's history as the stored scans tell it."""
    return (await histories_of(connection, [product_id])).get(product_id)
