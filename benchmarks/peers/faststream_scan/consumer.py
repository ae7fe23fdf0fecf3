"""The consumer: takes scans in batches, scores them in order, stores them with COPY."""

from __future__ import annotations

import asyncio
import logging
import os
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson
from asyncpg.pgproto.pgproto import UUID
from faststream import FastStream
from faststream.redis import RedisBroker, StreamSub
from redis.asyncio import Redis

from benchmarks.peers.faststream_scan.scoring import DEVICE_CHARACTERS, History, assess
from benchmarks.peers.faststream_scan.wire import (
    CONSUMER_READY,
    GROUP,
    STREAM,
    Event,
    history_key,
)
from benchmarks.peers.garbage import collect_seldom
from benchmarks.peers.pools import open_pool

BATCH = 500
POLL_MS = 100
LINGER_S = 0.02
STUCK_AFTER_MS = 30_000
COUNTER_TTL_S = 3 * 86_400
COLUMNS = (
    "id",
    "product_id",
    "ip_hash",
    "fingerprint_hash",
    "risk_score",
    "country",
    "created_at",
)
INSERT = f"""
    INSERT INTO scan_events ({", ".join(COLUMNS)}) VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT DO NOTHING
"""

Row = tuple[UUID, UUID, str, str, int, str | None, datetime]

# Without types, FastStream hands events on as they are: nothing here needs checking twice. What it
# says of every batch goes below the level that is logged.
broker = RedisBroker(os.environ["REDIS_URL"], apply_types=False, log_level=logging.DEBUG)
app = FastStream(broker)


class Store:
    """What the process holds open. One batch at a time: histories are read, changed, written."""

    database: asyncpg.Pool
    redis: Redis
    turn: asyncio.Lock


opened = Store()


@app.on_startup
async def open_store() -> None:
    """Connect before the first batch comes."""
    opened.database = await open_pool(os.environ["DATABASE_URL"], size=1)
    opened.redis = await broker.connect()
    opened.turn = asyncio.Lock()


@app.after_startup
async def tell_ready() -> None:
    """Let the API say that scans are stored."""
    collect_seldom()
    await opened.redis.set(CONSUMER_READY, 1)


@app.on_shutdown
async def tell_gone() -> None:
    """Take that back."""
    await opened.redis.delete(CONSUMER_READY)


@app.after_shutdown
async def close_store() -> None:
    """Disconnect behind the last batch."""
    await opened.database.close()


@broker.subscriber(
    stream=StreamSub(
        STREAM,
        group=GROUP,
        consumer="stuck",
        batch=True,
        min_idle_time=STUCK_AFTER_MS,
        polling_interval=STUCK_AFTER_MS,
    )
)
@broker.subscriber(
    stream=StreamSub(
        STREAM,
        group=GROUP,
        consumer="first",
        batch=True,
        max_records=BATCH,
        polling_interval=POLL_MS,
    )
)
async def store(events: list[Event]) -> None:
    """Score and store a batch, then remember it. It is acknowledged behind this."""
    async with opened.turn:
        histories = await _histories(events)
        rows = [_scored(event, histories[event["product_id"]]) for event in events]
        await _copy(rows)
        await _remember(events, histories)
    if len(events) < BATCH:
        await asyncio.sleep(LINGER_S)  # so that the next batch is a larger one


async def _histories(events: list[Event]) -> dict[str, History]:
    ids = list({event["product_id"] for event in events})
    found: Any = await opened.redis.mget([history_key(product_id) for product_id in ids])
    return {product_id: History.of(data) for product_id, data in zip(ids, found, strict=True)}


def _scored(event: Event, history: History) -> Row:
    """The row of a scan, which is counted into its product's history."""
    country, at_ms = event["country"], event["at_ms"]
    device = event["fingerprint_hash"][:DEVICE_CHARACTERS]
    score = assess(history, country, device, at_ms).score
    history.add(country, device, at_ms)
    return (
        UUID(event["scan_id"]),
        UUID(event["product_id"]),
        event["ip_hash"],
        event["fingerprint_hash"],
        score,
        country,
        datetime.fromtimestamp(at_ms / 1000, UTC),
    )


async def _copy(rows: list[Row]) -> None:
    try:
        await opened.database.copy_records_to_table("scan_events", records=rows, columns=COLUMNS)
    except asyncpg.UniqueViolationError:  # some of them were stored before a crash
        await opened.database.executemany(INSERT, rows)


async def _remember(events: list[Event], histories: dict[str, History]) -> None:
    """The histories, and the counters: today, per product (in its history), top products."""
    today = f"stats:scans:{datetime.now(UTC):%Y-%m-%d}"
    scans: dict[str, int] = {}
    for event in events:
        scans[event["product_id"]] = scans.get(event["product_id"], 0) + 1
    pipeline: Any = opened.redis.pipeline(transaction=False)
    pipeline.mset({history_key(key): orjson.dumps(history) for key, history in histories.items()})
    pipeline.incrby(today, len(events))
    pipeline.expire(today, COUNTER_TTL_S)
    for product_id, count in scans.items():
        pipeline.zincrby("top:products", count, product_id)
    await pipeline.execute()
