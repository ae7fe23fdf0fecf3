"""The audit sees each kind of wrong: each is made by hand here."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis

from chaos.audit import audit
from chaos.findings import Audit
from chaos.ledger import Ledger
from chaos.load import Load, opened_session, stock
from chaos.system import System, started
from tests.servers import eventually
from voketag import events
from voketag.events import DEAD_SUFFIX

SCANS = 40


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    async with started(tmp_path, {}) as running:
        yield running


async def loaded(system: System, ledger: Ledger) -> None:
    """A small load, accepted and stored to the end."""
    key, tokens = await stock(system.api, 2, 20)
    async with opened_session() as session:
        load = Load(system.api.where, key, tokens, ledger, random.Random(1), session)
        await asyncio.gather(*(load.scan_once() for _ in range(SCANS)), load.push_once())

    async def sound() -> bool:
        return not (await audit(system.settings, ledger.path)).findings

    await eventually(sound, 30)


async def execute(system: System, statement: str, *arguments: object) -> Any:
    connection = await asyncpg.connect(system.settings.database_url)
    try:
        return await connection.fetch(statement, *arguments)
    finally:
        await connection.close()


@pytest.mark.timeout(180)
async def test_everything_that_can_be_wrong_is_seen(system: System, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "audited")
    await loaded(system, ledger)

    async def found() -> Audit:
        return await audit(system.settings, ledger.path)

    # A stored scan vanishes: it is lost, its product's history has a gap, the statistics are off.
    (gone,) = await execute(
        system,
        "DELETE FROM scan_events WHERE scan_id = (SELECT scan_id FROM scan_events "
        "WHERE product_id IS NOT NULL ORDER BY (history->>'scans')::int LIMIT 1) RETURNING *",
    )
    result = await found()
    text = "\n".join(result.findings)
    assert "scans: 1 lost" in text
    assert not [fact for fact in result.facts if "history" in fact or "statistics" in fact]
    assert f"product {gone['product_id']}" in text
    assert "statistics of " in text

    # In the dead letters it is not lost, but said.
    async with Redis.from_url(system.settings.redis_url) as redis:
        entry = await _entry_of(redis, str(gone["scan_id"]).encode())
        await redis.xadd(events.scored(0) + DEAD_SUFFIX, entry)
    result = await found()
    assert (result.rows[0].lost, result.rows[0].dead) == (0, 1)
    assert "1 entries of scored:{0} were buried" in result.findings


async def _entry_of(redis: Any, scan_id: bytes) -> Any:
    for shard in range(2):
        for _, fields in await redis.xrange(events.scored(shard)):
            if scan_id in fields[b"event"]:
                return fields
    raise AssertionError("it is not in the stream any more")


@pytest.mark.timeout(180)
async def test_wrong_batches_anchors_and_strangers_are_seen(system: System, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "audited")
    await loaded(system, ledger)

    async def findings() -> str:
        return "\n".join((await audit(system.settings, ledger.path)).findings)

    await execute(
        system,
        "INSERT INTO fraud_reports (report_id, reason, description, reporter_hash) "
        "VALUES (gen_random_uuid(), 'other', 'nobody sent this', '')",
    )
    assert "reports: 1 strange" in await findings()
    ledger.write("scan", "accepted", "01980000-0000-7000-8000-000000000000")
    assert "scans: 1 lost" in await findings()
    ledger.write("batch", "accepted", "a key", "01980000-0000-7000-8000-000000000000", 3)
    assert "batches: 1 lost" in await findings()
    ledger.write("scan", "changed", "x")
    assert "1 repeated requests were answered differently" in await findings()
    ledger.write("forged", "accepted", "x")
    assert "1 forged tokens were recognised" in await findings()
    (short,) = await execute(
        system,
        "DELETE FROM products WHERE product_id = (SELECT product_id FROM products "
        "JOIN batches USING (batch_id) WHERE idempotency_key IS NOT NULL LIMIT 1) "
        "RETURNING batch_id",
    )
    assert f"batch {short['batch_id']} has " in await findings()
    await execute(system, "UPDATE batches SET status = 'failed' WHERE idempotency_key IS NOT NULL")
    assert " is failed" in await findings()
    await execute(system, "UPDATE anchors SET root = sha256(root), status = 'final'")
    text = await findings()
    assert "has 0 effective transactions" in text
    assert "roots on the chain are no anchor of ours" in text
    assert "leads to no anchored root" in text
    facts = (await audit(system.settings, ledger.path)).facts
    assert not [fact for fact in facts if "anchored" in fact or "completed" in fact]
