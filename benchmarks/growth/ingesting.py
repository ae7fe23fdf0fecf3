"""Scans stored as persist stores them, into a table that is full and into one that is empty."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import asyncpg

from benchmarks.garbage_rest import collected_seldom
from benchmarks.growth.filling import Layout, some_products
from benchmarks.scored_scans import scored_scans
from consumers.persist import BATCH
from voketag import identifiers
from voketag.events import ScoredScan
from voketag.records import scans
from voketag.records.database import Database

PER_S = 5000.0  # how dense the scans lie in time


class Ingestion:
    """Scans that come behind the last one of a layout, of any of its products."""

    def __init__(self, full_url: str, full: Database, empty_url: str, empty: Database) -> None:
        self._full_url, self._full = full_url, full
        self._empty_url, self._empty = empty_url, empty
        self._made = 0
        self._full_first = False

    async def both(self, plan: Layout, count: int) -> tuple[float, float]:
        """Store the next so many scans in both, in an order that turns. Rows a second: of the full
        table, and of the other one, which is emptied before.
        """
        made = await self._next_scans(plan, count)
        connection = await asyncpg.connect(self._empty_url)
        try:
            await connection.execute("TRUNCATE scan_events, scan_stats_daily")
        finally:
            await connection.close()
        self._full_first = not self._full_first
        if self._full_first:
            full_per_s = await _store(self._full, made)
            return full_per_s, await _store(self._empty, made)
        empty_per_s = await _store(self._empty, made)
        return await _store(self._full, made), empty_per_s

    async def _next_scans(self, plan: Layout, count: int) -> list[ScoredScan]:
        """Scans that no table holds."""
        chosen = random.Random(self._made)
        numbers = [chosen.randrange(plan.products) for _ in range(count)]
        connection = await asyncpg.connect(self._full_url)
        try:
            product_ids = await some_products(connection, numbers)
        finally:
            await connection.close()
        first_ms = identifiers.ms_of_time(plan.last_at) + int(1000 * self._made / PER_S)
        self._made += count
        return scored_scans(count, product_ids, first_ms, PER_S, seed=self._made)


async def _store(database: Database, made: Sequence[ScoredScan]) -> float:
    with collected_seldom():
        began_s = time.perf_counter()
        for at in range(0, len(made), BATCH):
            async with database.transaction() as connection:
                await scans.store(connection, made[at : at + BATCH])
        return len(made) / (time.perf_counter() - began_s)
