"""What the tests of anchoring have in common: batches that wait, and a look at the chain."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any
from uuid import UUID

from tests.servers import rpc
from voketag import merkle, settings
from voketag.anchoring.advance import Anchoring, Patience
from voketag.anchoring.confirmation import Forget
from voketag.chain import signing
from voketag.chain.client import ANCHORED_TOPIC, Chain
from voketag.chain.signing import Sender
from voketag.errors import Unavailable
from voketag.identifiers import new_id
from voketag.records import anchors
from voketag.records.anchors import AnchorRecord
from voketag.records.database import Database
from voketag.settings import Settings

# Impatient enough for a test, patient enough that nothing is sent twice without a reason.
HASTY = Patience(resend_s=0.2, raise_s=0.4, open_s=0.02, idle_s=0.02)
TEST_ENVIRONMENT = {
    "VOKETAG_ADMIN_KEY": "an-admin-key-for-the-tests",
    "VOKETAG_TOKEN_KEYS": "1:" + "11" * 32,
    "VOKETAG_HASH_KEY": "22" * 32,
    "VOKETAG_ANCHOR_WINDOW_S": "0",
    "VOKETAG_REDIS_URL": "redis://127.0.0.1:1",
}


class World:
    """A database, a chain, and an anchoring process between them."""

    def __init__(self, database: Database, chain: Chain, configured: Settings) -> None:
        self.database = database
        self.chain = chain
        self.settings = configured
        self.anchoring = self.process()

    def process(
        self, patience: Patience = HASTY, *, forget: Forget | None = None, **changes: object
    ) -> Anchoring:
        """A process as it is just after its start."""
        configured = dataclasses.replace(self.settings, **changes)  # type: ignore[arg-type]
        given = {} if forget is None else {"forget": forget}
        return Anchoring(self.database, self.chain, configured, patience, **given)

    def configure(self, **changes: object) -> None:
        """Other settings, for this process and those to come."""
        self.settings = dataclasses.replace(self.settings, **changes)  # type: ignore[arg-type]
        self.anchoring = self.process()

    async def rpc(self, method: str, *parameters: object) -> object:
        """One call to the chain, which nothing that a test does to `chain` can disturb."""
        return await rpc(self.settings.chain_url, method, *parameters)

    async def number(self, method: str, *parameters: object) -> int:
        """A call that is answered with a hexadecimal number."""
        return int(str(await self.rpc(method, *parameters)), 16)

    async def batch(self, root: bytes | None = None, *, queued: bool = True) -> UUID:
        """A stored batch; its root waits for an anchor, unless it is not `queued`."""
        batch_id, root = new_id(), root or os.urandom(32)
        async with self.database.transaction() as connection:
            factory_id = await connection.fetchval(
                "INSERT INTO factories (factory_id, name, email) VALUES ($1, 'F', $2) "
                "ON CONFLICT (email) DO UPDATE SET name = 'F' RETURNING factory_id",
                new_id(),
                "factory@example.org",
            )
            await connection.execute(
                "INSERT INTO batches (batch_id, factory_id, sku, name, product_count, "
                "serials_given, token_key_id, status, merkle_root, created_at) "
                "VALUES ($1, $2, 'S', 'N', 1, false, 1, 'processing', $3, now())",
                batch_id,
                factory_id,
                root,
            )
            if queued:
                assert await anchors.store_roots(connection, [(batch_id, root)]) == set()
        return batch_id

    async def batches(self, count: int) -> None:
        """Many stored batches at once, whose roots wait."""
        first = await self.batch()
        async with self.database.transaction() as connection:
            await connection.execute(
                "WITH made AS (INSERT INTO batches (batch_id, factory_id, sku, name, product_count,"
                " serials_given, token_key_id, status, merkle_root, created_at) "
                "SELECT gen_random_uuid(), factory_id, sku, name, product_count, serials_given, "
                "token_key_id, status, sha256(n::text::bytea), created_at "
                "FROM batches, generate_series(2, $2::int) AS n WHERE batch_id = $1 "
                "RETURNING batch_id, merkle_root) "
                "INSERT INTO anchor_roots (batch_id, root) SELECT batch_id, merkle_root FROM made",
                first,
                count,
            )

    async def until_quiet(self, *processes: Anchoring, timeout_s: float = 20.0) -> None:
        """Let processes work until every root has a final anchor; faults are lived through."""
        deadline = time.monotonic() + timeout_s
        for process in processes or (self.anchoring,):
            while True:
                try:
                    progress = await process.advance()
                    if progress.writer and not progress.open_anchors and not progress.waiting_roots:
                        break
                except Unavailable:
                    pass
                assert time.monotonic() < deadline, await self.statuses()
                await asyncio.sleep(0.01)

    async def until(self, *statuses: str, timeout_s: float = 20.0) -> None:
        """Let the process work until the anchors have these statuses, by nonce."""
        deadline = time.monotonic() + timeout_s
        while await self.statuses() != list(statuses):
            await self.anchoring.advance()
            assert time.monotonic() < deadline, await self.statuses()
            await asyncio.sleep(0.01)

    async def statuses(self) -> list[str]:
        """The status of every anchor, by nonce."""
        async with self.database.connection() as connection:
            rows = await connection.fetch("SELECT status FROM anchors ORDER BY nonce")
        return [row["status"] for row in rows]

    async def fetchval(self, query: str, *arguments: object) -> object:
        """One value from the database."""
        async with self.database.connection() as connection:
            return await connection.fetchval(query, *arguments)

    async def record(self, batch_id: UUID) -> AnchorRecord:
        """A batch's anchor as the API sees it."""
        async with self.database.connection() as connection:
            record = await anchors.anchor_of_batch(connection, batch_id)
        assert record is not None
        return record

    async def anchored_roots(self) -> list[bytes]:
        """The root of every Anchored event on the chain: one for each effective transaction."""
        topics = ["0x" + ANCHORED_TOPIC.hex()]
        query = {"topics": topics, "fromBlock": "earliest", "toBlock": "latest"}
        logs = await self.rpc("eth_getLogs", query)
        assert isinstance(logs, list)
        return [bytes.fromhex(log["topics"][1][2:]) for log in logs]

    async def finals(self) -> set[tuple[UUID, bytes, int, bytes]]:
        """Every anchor that the table holds for final, with its transaction and block."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                "SELECT anchor_id, tx_hash, block_number, block_hash FROM anchors "
                "WHERE status = 'final'"
            )
        return {tuple(row) for row in rows}

    async def check_truly_final(
        self, finals: Iterable[tuple[UUID, bytes, int, bytes]], confirmations: int = 1
    ) -> None:
        """These are what the chain itself says, whatever was said through a proxy."""
        for _, tx_hash, block_number, block_hash in finals:
            receipt: Any = await self.rpc("eth_getTransactionReceipt", "0x" + tx_hash.hex())
            assert receipt is not None, "final, and on no chain"
            assert receipt["status"] == "0x1"
            assert receipt["blockHash"] == "0x" + block_hash.hex()
            assert int(receipt["blockNumber"], 16) == block_number
            head = await self.number("eth_blockNumber")
            assert head - block_number + 1 >= confirmations, "final too early"

    async def check_no_open_nonce(self) -> None:
        """Nothing of the account waits, and every anchor's nonce is used."""
        sender = "0x" + Sender(signing.DEVELOPMENT_KEY, 31337).address.hex()
        used = await self.number("eth_getTransactionCount", sender, "latest")
        assert used == await self.number("eth_getTransactionCount", sender, "pending")
        assert await self.fetchval("SELECT count(*) FROM anchors WHERE nonce >= $1", used) == 0

    async def check_all_final(self, *batch_ids: UUID) -> None:
        """Every batch is completed, its path leads to a root that the chain has, once."""
        anchored = await self.anchored_roots()
        assert len(anchored) == len(set(anchored)), "a root has two effective transactions"
        for batch_id in batch_ids:
            record = await self.record(batch_id)
            batch = await self.fetchval(
                "SELECT status || (completed_at IS NOT NULL)::text FROM batches WHERE batch_id=$1",
                batch_id,
            )
            root = await self.fetchval("SELECT root FROM anchor_roots WHERE batch_id=$1", batch_id)
            assert isinstance(root, bytes)
            assert (record.status, batch) == ("final", "completedtrue")
            assert merkle.root_of_path(root, record.path) == record.root
            assert record.root in anchored
            assert record.tx_hash is not None
            assert record.block_number is not None
            assert record.block_hash is not None
            where = (record.tx_hash, record.block_number, record.block_hash)
            await self.check_truly_final([(batch_id, *where)])
        assert len(anchored) == await self.fetchval("SELECT count(*) FROM anchors")


def settings_for(database_url: str, chain_url: str) -> Settings:
    """Settings without a window: a root is anchored as soon as it is seen."""
    servers = {"VOKETAG_DATABASE_URL": database_url, "VOKETAG_CHAIN_URL": chain_url}
    return settings.load(TEST_ENVIRONMENT | servers)


@contextlib.asynccontextmanager
async def open_world(
    database_url: str, chain_url: str, *, through: str | None = None, timeout_s: float = 5.0
) -> AsyncIterator[World]:
    """A World on real servers; the anchoring reaches its chain `through` another URL, if given."""
    database = await Database.open(database_url)
    chain = Chain(through or chain_url, timeout_s=timeout_s)
    world = World(database, chain, settings_for(database_url, chain_url))
    try:
        yield world
    finally:
        await world.chain.close()
        await database.close()


def always(value: object) -> Callable[..., Awaitable[object]]:
    """A step that gives the same whatever it is asked."""

    async def answer(*_: object) -> object:
        return value

    return answer
