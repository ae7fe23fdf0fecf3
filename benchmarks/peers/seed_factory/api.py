"""The API of the seed's Factory service."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated
from uuid import UUID

import asyncpg
import orjson
import uvicorn
from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel, Field
from redis.asyncio import Redis
from starlette.concurrency import run_in_threadpool

from benchmarks.peers.garbage import collect_seldom
from benchmarks.peers.identifiers import uuid7s
from benchmarks.peers.pools import open_pool
from benchmarks.peers.seed_factory import jobs

FACTORY = UUID("00000000-0000-7000-8000-000000000001")  # schema.sql makes it
POOL_SIZE = 8
ACCEPTED = """
    WITH batch AS (
        INSERT INTO batches (id, factory_id, sku, name, product_count, status)
        VALUES ($1, $2, $3, $4, $5, 'pending') RETURNING id
    )
    INSERT INTO celery_tasks (id, task_id, batch_id, status)
    SELECT $6, $7, id, 'pending' FROM batch
"""
BATCH = "SELECT * FROM batches WHERE id = $1"

Text = Annotated[str, Field(min_length=1, max_length=255)]


class BatchRequest(BaseModel):
    """The body of POST /v1/batches."""

    product_count: Annotated[int, Field(ge=1, le=1_000_000)]
    sku: Text
    name: Text


class Wires:
    """What the process holds open."""

    database: asyncpg.Pool
    redis: Redis


wires = Wires()


@contextlib.asynccontextmanager
async def opened(_: FastAPI) -> AsyncIterator[None]:
    """Connect before the first request and disconnect behind the last."""
    async with (
        open_pool(os.environ["DATABASE_URL"], POOL_SIZE) as wires.database,
        Redis.from_url(os.environ["REDIS_URL"]) as wires.redis,
    ):
        collect_seldom()
        yield


app = FastAPI(title="Factory", lifespan=opened)


@app.post("/v1/batches", status_code=202)
async def post_batch(asked: BatchRequest) -> Response:
    """Insert the batch and enqueue it."""
    batch_id, row_id = uuid7s(2)
    task_id = str(row_id)
    await wires.database.execute(
        ACCEPTED, batch_id, FACTORY, asked.sku, asked.name, asked.product_count, row_id, task_id
    )
    send = partial(jobs.app.send_task, jobs.MAKE_BATCH, (str(batch_id),), task_id=task_id)
    await run_in_threadpool(send)
    receipt = {"batch_id": str(batch_id), "status": "pending", "product_count": asked.product_count}
    headers = {"Location": f"/v1/batches/{batch_id}"}
    return _json(orjson.dumps(receipt), 202, headers)


@app.get("/v1/batches/{batch_id}")
async def get_batch(batch_id: UUID) -> Response:
    """A batch: completed ones are cached, the others are looked up."""
    if cached := await wires.redis.get(jobs.batch_key(batch_id)):
        return _json(cached)
    row = await wires.database.fetchrow(BATCH, batch_id)
    if row is None:
        raise HTTPException(404, "No such batch.")
    return _json(jobs.shown(row))


@app.get("/healthz")
async def healthz() -> Response:
    """200 once batches are accepted and made."""
    ready = await wires.redis.exists(jobs.WORKER_READY)
    return _json(b'{"status":"ok"}') if ready else _json(b'{"status":"waiting"}', 503)


def _json(body: bytes | str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, headers, "application/json")


if __name__ == "__main__":
    uvicorn.run(
        app,
        host=os.environ["PEER_HOST"],
        port=int(os.environ["PEER_PORT"]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
