"""What one worker process holds open, and the steps it takes a batch through."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import redis
import uvloop

from benchmarks.peers.identifiers import read_keys
from benchmarks.peers.pools import open_pool
from benchmarks.peers.seed_factory import jobs, products
from benchmarks.peers.seed_factory.anchoring import Anchor, Chain

CHANNEL = "factory:notifications"
BATCH = "SELECT id, sku, product_count, status, merkle_root FROM batches WHERE id = $1"
STORED = """
    UPDATE batches SET status = 'processing', merkle_root = $2
    WHERE id = $1 AND status = 'pending'
"""
COMPLETED = """
    WITH task AS (
        UPDATE celery_tasks SET status = 'success', updated_at = now() WHERE batch_id = $1
    )
    UPDATE batches
    SET status = 'completed', completed_at = now(), blockchain_tx = $2, block_number = $3
    WHERE id = $1 RETURNING *
"""
FAILED = """
    WITH task AS (
        UPDATE celery_tasks SET status = 'failure', error = $2, updated_at = now()
        WHERE batch_id = $1
    )
    UPDATE batches SET status = 'failed' WHERE id = $1
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """A batch whose products stand in Postgres."""

    root: bytes
    completed: bool


class Floor:
    """One process' connections. Batches come one at a time."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._key = read_keys(environ["TOKEN_KEYS"]).signing
        self._redis = redis.Redis.from_url(environ["REDIS_URL"])
        self._database = self._runner.run(self._open(environ["DATABASE_URL"]))
        chain = environ.get("CHAIN_URL")
        self._chain = Chain(chain, self._redis) if chain else None

    @staticmethod
    async def _open(url: str) -> asyncpg.Pool:
        return await open_pool(url, size=1)

    def make(self, batch_id: UUID) -> None:
        """Products, root, transaction, notice. What was done before a retry is not done again."""
        stored = self._runner.run(self._store(batch_id))
        if stored.completed:
            return
        anchor = self._chain.anchor(stored.root) if self._chain is not None else None
        batch = self._runner.run(self._complete(batch_id, anchor))
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.set(jobs.batch_key(batch_id), batch, ex=jobs.BATCH_CACHE_S)
        pipeline.publish(CHANNEL, batch)
        pipeline.execute()

    def fail(self, batch_id: UUID, error: str) -> None:
        """Say of a batch that no further try is made."""
        self._runner.run(self._database.execute(FAILED, batch_id, error))

    async def _store(self, batch_id: UUID) -> Stored:
        """Rows and root in one transaction; only the first to come writes them."""
        async with self._database.acquire() as connection:
            (batch,) = await connection.fetch(BATCH, batch_id)
            if batch["status"] == "pending":
                made = products.make(batch["id"], batch["sku"], batch["product_count"], self._key)
                async with connection.transaction():
                    status = await connection.execute(STORED, batch_id, "0x" + made.root.hex())
                    if status == "UPDATE 1":
                        await connection.copy_records_to_table(
                            "products", records=made.rows, columns=products.COLUMNS
                        )
                        return Stored(made.root, completed=False)
                (batch,) = await connection.fetch(BATCH, batch_id)
            root = bytes.fromhex(batch["merkle_root"][2:])
            return Stored(root, completed=batch["status"] == "completed")

    async def _complete(self, batch_id: UUID, anchor: Anchor | None) -> bytes:
        tx_hash, block = (anchor.tx_hash, anchor.block_number) if anchor else (None, None)
        (batch,) = await self._database.fetch(COMPLETED, batch_id, tx_hash, block)
        return jobs.shown(batch)
