"""The Celery worker: makes batches, a process each."""

from __future__ import annotations

import functools
import os
from typing import Any
from uuid import UUID

import redis
from celery.signals import worker_process_init, worker_ready, worker_shutting_down

from benchmarks.peers.garbage import collect_seldom
from benchmarks.peers.seed_factory import jobs
from benchmarks.peers.seed_factory.floor import Floor
from benchmarks.peers.seed_factory.jobs import app

__all__ = ["app"]

TRIES = 6
RETRY_MAX_S = 30


@functools.cache
def floor() -> Floor:
    """The connections of this process; they are opened behind the fork."""
    return Floor(os.environ)


@worker_process_init.connect
def open_floor(**_: Any) -> None:
    """Connect before the first batch comes."""
    floor()
    collect_seldom()


@worker_ready.connect
def tell_ready(**_: Any) -> None:
    """Let the API say that batches will be made."""
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as connection:
        connection.set(jobs.WORKER_READY, 1)


@worker_shutting_down.connect
def tell_gone(**_: Any) -> None:
    """Take that back."""
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as connection:
        connection.delete(jobs.WORKER_READY)


@app.task(name=jobs.MAKE_BATCH, bind=True, max_retries=TRIES - 1)
def make_batch(task: Any, batch_id: str) -> None:
    """Make a batch; where that fails, later again."""
    try:
        floor().make(UUID(batch_id))
    except Exception as error:
        tries = task.request.retries + 1
        if tries < TRIES:
            raise task.retry(exc=error, countdown=min(2**tries, RETRY_MAX_S)) from error
        floor().fail(UUID(batch_id), str(error))
        raise
