"""What a scan takes in Redis while it is on its way, and what stays of a product."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from benchmarks.scored_scans import product_ids, scored_scans
from consumers import score
from voketag import events, topology
from voketag.consumer import Loop
from voketag.events import Product
from voketag.ownership import LEASE_MS
from voketag.process import Wires
from voketag.redis import intake
from voketag.redis.intake import Found
from voketag.redis.stream_status import read_status
from voketag.risk.history import REMEMBERED_TIMES

PRODUCTS = 50
SCANS_MOST = REMEMBERED_TIMES  # of a product: its history is full then
SCORED_WITHIN_S = 60.0
_DAY_MS = 86_400_000
_STATUS_TIMES = 50


async def status_ms(wires: Wires) -> float:
    """The median milliseconds of what GET /v1/streams runs."""
    table, took_s = topology.groups_of(wires.settings.shards), []
    for _ in range(_STATUS_TIMES):
        began_s = time.perf_counter()
        await read_status(wires.streams.redis, table, LEASE_MS)
        took_s.append(time.perf_counter() - began_s)
    return 1000 * statistics.median(took_s)


async def measure(wires: Wires) -> dict[str, float]:
    """Bytes by what they are of. Products are scanned again and again, and each scan is scored
    before the next one of its product comes; ids are the callers' own, which have to be remembered.
    """
    found: dict[str, float] = {}
    scoring = Loop(score.build(wires), wires.streams)
    running = asyncio.create_task(scoring.run())
    try:
        products = product_ids(PRODUCTS, time.time_ns() // 1_000_000 - _DAY_MS)
        for number in range(1, SCANS_MOST + 1):
            scanned = await _scan_each(wires, products, number)
            await _scored(wires, number * PRODUCTS)
            if number == 1:
                found |= await _at_rest(wires, products, scanned, "1 scan")
    finally:
        scoring.stop()
        await running
    found |= await _at_rest(wires, products, scanned, f"{SCANS_MOST} scans")
    return found | await _in_flight(wires)


async def _scan_each(wires: Wires, products: Sequence[UUID], number: int) -> list[UUID]:
    """Scan number `number` (from 1) of every product. The scans' ids."""
    now_ms = time.time_ns() // 1_000_000
    made = scored_scans(len(products), products, now_ms, 1000.0, seed=number)
    scans = [
        msgspec.structs.replace(one.scan, product_id=product_id, received_at_ms=now_ms, named=True)
        for one, product_id in zip(made, products, strict=True)
    ]
    known = [Found(_product(one)) if number == 1 else None for one in products]
    offers = zip(scans, known, strict=True)
    await asyncio.gather(*(wires.intake.offer(scan, found) for scan, found in offers))
    return [scan.scan_id for scan in scans]


def _product(product_id: UUID) -> Product:
    serial = f"{product_id.int & (1 << 60) - 1:015X}"
    countries = ("BR", "PT")
    return Product(
        product_id,
        UUID(int=product_id.int ^ 1),
        UUID(int=product_id.int ^ 2),
        "SHOE-42",
        "Running shoe",
        serial,
        destination_countries=countries,
    )


async def _scored(wires: Wires, count: int) -> None:
    """Wait until so many scans are scored. Raises TimeoutError."""
    async with asyncio.timeout(SCORED_WITHIN_S):
        while await _length(wires, events.scored) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def _length(wires: Wires, kind: Any) -> int:
    lengths = [
        await wires.streams.redis.xlen(kind(shard)) for shard in range(wires.settings.shards)
    ]
    return sum(lengths)


async def _at_rest(
    wires: Wires, products: Sequence[UUID], scanned: Sequence[UUID], after: str
) -> dict[str, float]:
    """Bytes of the keys that stay, in the mean."""
    shards = wires.settings.shards

    def of_products(key: Any) -> list[str]:
        return [key(events.shard_of(one, shards), one) for one in products]

    replays = [intake.replay_key(events.shard_of(one, shards), one) for one in scanned]
    return {
        f"a product, cached, after {after}": await _bytes(wires, of_products(intake.product_key)),
        f"a product's history after {after}": await _bytes(wires, of_products(intake.history_key)),
        f"a scan id that is remembered, after {after}": await _bytes(wires, replays),
    }


async def _in_flight(wires: Wires) -> dict[str, float]:
    """Bytes of an entry in the streams, in the mean of every scan made here."""
    found = {}
    for what, kind in (("accepted", events.scans), ("scored", events.scored)):
        streams = [kind(shard) for shard in range(wires.settings.shards)]
        used = await _bytes(wires, streams) * len(streams)
        found[f"a scan in flight, {what}"] = used / await _length(wires, kind)
    return found


async def _bytes(wires: Wires, keys: Iterable[str]) -> float:
    """The bytes of a key, in the mean."""
    used = [await wires.streams.redis.memory_usage(key, samples=0) or 0 for key in keys]
    return statistics.fmean(used)
