"""What it costs to store scans once and count them, compared with nothing but COPY."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from benchmarks import raw_copy
from benchmarks.databases import embedded
from benchmarks.garbage_rest import collected_seldom
from benchmarks.raw_copy import record
from benchmarks.scored_scans import product_ids, scored_scans
from benchmarks.section import Bench, Figure, Found, Section, Target
from consumers.persist import BATCH
from voketag import events
from voketag.events import ScoredScan
from voketag.records import scans
from voketag.records.database import Database

ROWS = 40_000
PRODUCTS = 10_000
PER_S = 5000.0  # how dense the scans lie in time
_BEGUN_AGO_MS = 60_000
_MADE_AGO_MS = 86_400_000

Entry = dict[str, bytes]
Way = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class _Rows:
    """The same rows in each of the forms that are measured, in batches."""

    count: int
    scans: Sequence[Sequence[ScoredScan]]
    entries: Sequence[Sequence[Entry]]
    records: Sequence[Sequence[tuple[Any, ...]]]


async def measure(bench: Bench) -> Found:
    """Rows a second, each batch committed: COPY alone, our way, ours from the stream's entries, and
    ours where every row is there already.
    """
    rows = _rows(max(BATCH, round(ROWS * bench.scale)))
    async with embedded(bench.folder) as settings:
        url = settings.database_url
        connection, database = await asyncpg.connect(url), await Database.open(url)
        try:
            with collected_seldom():
                found = await _rounds(bench, rows, connection, database)
        finally:
            await database.close()
            await connection.close()
    copied = Figure("rows copied", "asyncpg COPY", "rows/s", tuple(found["copied"]))
    ours = {
        name: Figure(f"rows {name}", "VokeTag", "rows/s", tuple(found[name]))
        for name in ("stored", "decoded and stored", "replayed")
    }
    targets = (
        Target("storing once and counting / COPY", ours["stored"], copied, at_least=0.6, aim=0.9),
        Target("decoding too / COPY", ours["decoded and stored"], copied),
        Target("a replay / COPY", ours["replayed"], copied),
    )
    return Found((copied, *ours.values()), targets)


def _rows(count: int) -> _Rows:
    now_ms = time.time_ns() // 1_000_000
    products = product_ids(PRODUCTS, now_ms - _MADE_AGO_MS)
    made = scored_scans(count, products, now_ms - _BEGUN_AGO_MS, PER_S, seed=1)
    batches = [made[at : at + BATCH] for at in range(0, count, BATCH)]
    return _Rows(
        count,
        batches,
        [[events.encode(scored) for scored in batch] for batch in batches],
        [[record(scored) for scored in batch] for batch in batches],
    )


async def _rounds(
    bench: Bench, rows: _Rows, connection: asyncpg.Connection, database: Database
) -> dict[str, list[float]]:
    """Each way once a round, in an order that turns with it."""

    async def copied() -> None:
        for batch in rows.records:
            await raw_copy.copy(connection, batch)

    async def stored() -> None:
        for batch in rows.scans:
            await _store(database, batch)

    async def decoded_and_stored() -> None:
        for batch in rows.entries:
            await _store(database, [events.decode(entry, ScoredScan) for entry in batch])

    ways = {
        "copied": copied,
        "stored": stored,
        "decoded and stored": decoded_and_stored,
    }
    found: dict[str, list[float]] = {name: [] for name in (*ways, "replayed")}
    for number in range(bench.rounds):
        for name, way in ways.items() if number % 2 == 0 else reversed(ways.items()):
            await _empty(connection)
            found[name].append(await _rate(rows.count, way))
            if name == "stored":
                found["replayed"].append(await _rate(rows.count, stored))
        said = ", ".join(f"{rates[-1]:,.0f} {name}" for name, rates in found.items())
        bench.say(f"round {number + 1}: {said} (rows/s)")
    return found


async def _store(database: Database, batch: Sequence[ScoredScan]) -> None:
    async with database.transaction() as connection:
        await scans.store(connection, batch)


async def _empty(connection: asyncpg.Connection) -> None:
    """An empty table, and nothing left to be written of the last way's pages."""
    await connection.execute("TRUNCATE scan_events, scan_stats_daily")
    await connection.execute("CHECKPOINT")


async def _rate(count: int, way: Way) -> float:
    """Rows a second."""
    began_s = time.perf_counter()
    await way()
    return count / (time.perf_counter() - began_s)


SECTION = Section("persist", "Storing scans against raw COPY", measure)
