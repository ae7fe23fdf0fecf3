"""Whether a table with millions of scans is as fast as an empty one, and what it all takes."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

import asyncpg

from benchmarks.databases import another_database, embedded
from benchmarks.growth import asking, filling, proven, redis_bytes
from benchmarks.growth.filling import Layout
from benchmarks.growth.ingesting import Ingestion
from benchmarks.growth.proven import Proven
from benchmarks.section import Bench, Figure, Found, Section, Target
from voketag.process import open_wires
from voketag.records import partitions
from voketag.records.database import Database
from voketag.settings import Settings

# Filled up to here, unless the environment says otherwise: 50 million take 20 GB of disk.
ROWS_VARIABLE = "BENCHMARK_GROWTH_ROWS"
ROWS = 10_000_000
INGESTED_ROWS = 20_000
# So many are stored before it is measured. A page that is written to for the first time behind a
# checkpoint is logged as a whole: where scans come in all the time that is over soon, and comes
# again some minutes later.
UNMEASURED_ROWS = 150_000
SYSTEM = "VokeTag"
_NOTE = (
    f"Of each level the first {UNMEASURED_ROWS:,} rows stored (less in a shortened run) are not "
    "measured: Postgres logs pages as a whole when they are first written to behind a checkpoint."
)


@dataclass
class _Level:
    """What was measured with so many scans stored."""

    stored: int
    full_per_s: list[float] = field(default_factory=list)
    empty_per_s: list[float] = field(default_factory=list)
    asked_ms: dict[str, list[float]] = field(default_factory=dict)
    bytes_of_row: float = 0.0


async def measure(bench: Bench) -> Found:
    """Empty, a tenth full and full: ingestion beside that of an empty table, and questions."""
    rows = max(10_000, round(int(os.environ.get(ROWS_VARIABLE, ROWS)) * bench.scale))
    plan = filling.layout(rows, datetime.now(UTC))
    async with embedded(bench.folder) as settings:
        redis_figures = await _redis(settings)
        bench.say("Redis measured")
        full_url = settings.database_url
        empty_url = await another_database(full_url, "empty")
        for url in (full_url, empty_url):
            await filling.prepare(url, plan)
        await filling.fill_but_scans(full_url, plan)
        bench.say(f"{plan.products:,} products")
        full, empty = await Database.open(full_url), await Database.open(empty_url)
        try:
            ingestion = Ingestion(full_url, full, empty_url, empty)
            levels = await _levels(bench, full_url, full, ingestion, plan)
            dropped = await _drop(full, full_url)
        finally:
            await full.close()
            await empty.close()
    return _found(levels, [*dropped, *redis_figures])


async def _levels(
    bench: Bench, url: str, full: Database, ingestion: Ingestion, plan: Layout
) -> list[_Level]:
    async with full.connection() as connection:
        factory_id = await connection.fetchval("SELECT min(factory_id::text)::uuid FROM factories")
    levels: list[_Level] = []
    proof: Proven | None = None
    for stored in (0, plan.scans // 10, plan.scans):
        if stored:
            await filling.fill(url, plan, levels[-1].stored, stored)
            bench.say(f"filled to {stored:,} scans")
        await filling.settle(url)
        proof = proof or await proven.prove(full, factory_id)
        level = _Level(stored)
        levels.append(level)
        about = await asking.known(url, plan, stored, proof)
        if stored:
            await ingestion.both(plan, _scaled(UNMEASURED_ROWS, bench))
        for _ in range(bench.rounds):
            await _round(bench, full, ingestion, plan, level, about)
        level.bytes_of_row = await _bytes_of_row(url)
    return levels


def _scaled(rows: int, bench: Bench) -> int:
    return max(1_000, round(rows * min(1.0, bench.scale)))


async def _round(
    bench: Bench,
    full: Database,
    ingestion: Ingestion,
    plan: Layout,
    level: _Level,
    about: asking.Known,
) -> None:
    if level.stored:
        full_per_s, empty_per_s = await ingestion.both(plan, _scaled(INGESTED_ROWS, bench))
        level.full_per_s.append(full_per_s)
        level.empty_per_s.append(empty_per_s)
        bench.say(
            f"{level.stored:,} stored: {full_per_s:,.0f} rows/s, "
            f"{empty_per_s:,.0f} into an empty table"
        )
    for what, took_ms in (await asking.ask(full, about)).items():
        level.asked_ms.setdefault(what, []).append(took_ms)


async def _bytes_of_row(url: str) -> float:
    """The disk that a stored scan takes with its indexes; 0 where there is none."""
    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetchval(
            "SELECT sum(pg_total_relation_size(inhrelid)) / nullif(sum(reltuples), 0)::float8 "
            "FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
            "WHERE inhparent = 'scan_events'::regclass AND reltuples > 0"
        )
    finally:
        await connection.close()
    return float(found or 0)


async def _drop(full: Database, url: str) -> list[Figure]:
    """Drop the oldest month that holds scans, as `maintain` does with those that are too old."""
    async with full.connection() as connection:
        months = [name for name, _ in await partitions.scan_months(connection)]
    counter = await asyncpg.connect(url)
    try:
        counts = {name: await counter.fetchval(f"SELECT count(*) FROM {name}") for name in months}
    finally:
        await counter.close()
    month = next(name for name in months if counts[name])
    began_s = time.perf_counter()
    async with full.transaction() as connection:
        await partitions.drop_scan_month(connection, month)
    took_ms = 1000 * (time.perf_counter() - began_s)
    return [Figure(f"a month of {counts[month]:,} scans dropped", SYSTEM, "ms", (took_ms,))]


async def _redis(settings: Settings) -> list[Figure]:
    async with open_wires(settings) as wires:
        before_ms = await redis_bytes.status_ms(wires)
        found = await redis_bytes.measure(wires)
        after_ms = await redis_bytes.status_ms(wires)
    entries = redis_bytes.PRODUCTS * redis_bytes.SCANS_MOST
    return [
        *(Figure(f"Redis: {what}", SYSTEM, "bytes", (used,)) for what, used in found.items()),
        Figure("how streams stand, all empty", SYSTEM, "ms", (before_ms,)),
        Figure(f"how streams stand, {entries:,} scans in them", SYSTEM, "ms", (after_ms,)),
    ]


def _found(levels: list[_Level], others: list[Figure]) -> Found:
    figures, targets = [], []
    for level in levels:
        stored = f"{level.stored:,} scans stored"
        for what, took_ms in level.asked_ms.items():
            figures.append(Figure(f"{what}, {stored}", SYSTEM, "ms", tuple(took_ms)))
        if not level.stored:
            continue
        full = Figure(f"ingestion, {stored}", SYSTEM, "rows/s", tuple(level.full_per_s))
        empty = Figure(
            f"ingestion into an empty table, beside {stored}",
            SYSTEM,
            "rows/s",
            tuple(level.empty_per_s),
        )
        disk = Figure(f"disk of a scan, {stored}", SYSTEM, "bytes", (level.bytes_of_row,))
        figures += [full, empty, disk]
        bounds = (0.8, 0.95) if level is levels[-1] else (None, None)
        targets.append(Target(f"ingestion, {stored} / empty", full, empty, *bounds))
    return Found([*figures, *others], targets, (_NOTE,))


SECTION = Section("growth", "A table that grows", measure)
