"""The queue between the API and the workers, and what is shown of a batch."""

from __future__ import annotations

import os

import asyncpg
import orjson
from celery import Celery

MAKE_BATCH = "make_batch"
WORKER_READY = "worker:ready"
BATCH_CACHE_S = 300

app = Celery("seed_factory", broker=os.environ["REDIS_URL"])
app.conf.update(
    task_ignore_result=True,  # the batch's row says what became of it
    task_acks_late=True,  # a task whose worker died is done again
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,  # a long batch holds up no others
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
)


def batch_key(batch_id: object) -> str:
    """Where a completed batch is cached."""
    return f"batch:{batch_id}"


def shown(batch: asyncpg.Record) -> bytes:
    """A batch's row, as JSON."""
    tx_hash, block = batch["blockchain_tx"], batch["block_number"]
    anchor = {"status": "included", "tx_hash": tx_hash, "block_number": block}
    body: bytes = orjson.dumps(
        {
            "batch_id": str(batch["id"]),
            "sku": batch["sku"],
            "name": batch["name"],
            "product_count": batch["product_count"],
            "status": batch["status"],
            "merkle_root": batch["merkle_root"],
            "anchor": anchor if tx_hash else None,
            "created_at": batch["created_at"],
            "completed_at": batch["completed_at"],
        }
    )
    return body
