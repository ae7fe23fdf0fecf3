"""Reorganisations: what vanishes from the chain is noticed, and brought back."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import pytest

from tests.anchoring import HASTY, World, open_world
from tests.servers import Servers
from voketag.anchoring import confirmation
from voketag.anchoring.registry import Registry, open_registry
from voketag.chain import signing
from voketag.chain.client import Block, Chain
from voketag.chain.signing import Sender
from voketag.errors import Unavailable
from voketag.records import anchor_blocks
from voketag.records.database import Database


@pytest.fixture
async def world(database_url: str, chain_url: str) -> AsyncIterator[World]:
    async with open_world(database_url, chain_url) as opened:
        yield opened


async def signed_bytes(world: World) -> object:
    return await world.fetchval("SELECT array_agg(raw ORDER BY raw) FROM anchor_transactions")


async def cut_off(*_: object) -> object:
    raise Unavailable("chain: cut off")


async def test_f41_reorg_orphans_even_what_was_final(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.anchoring = world.process(dataclasses.replace(HASTY, raise_s=3600.0))
    batch_id = await world.batch()
    await world.until_quiet()
    raw = await signed_bytes(world)
    await world.rpc("anvil_reorg", 1, [])
    with monkeypatch.context() as patch:
        patch.setattr(world.chain, "send_raw", cut_off)
        with pytest.raises(Unavailable):
            await world.anchoring.advance()
    assert await world.statuses() == ["orphaned"]
    record = await world.record(batch_id)
    assert (record.tx_hash, record.block_number, record.anchored_at) == (None, None, None)
    batch = await world.fetchval("SELECT status || (completed_at IS NULL)::text FROM batches")
    assert batch == "processingtrue"
    await world.until_quiet()
    await world.check_all_final(batch_id)
    assert await signed_bytes(world) == raw, "the same bytes were sent again"


async def test_f41_reorg_that_moves_it_to_another_block(world: World) -> None:
    batch_id = await world.batch()
    await world.until_quiet()
    before = await world.record(batch_id)
    assert before.tx_hash is not None
    raw = await world.fetchval("SELECT raw FROM anchor_transactions")
    assert isinstance(raw, bytes)
    assert before.block_number is not None
    await world.rpc("anvil_rollback", 1)
    await world.rpc("evm_mine")
    await world.rpc("eth_sendRawTransaction", "0x" + raw.hex())
    await world.until_quiet()
    await world.check_all_final(batch_id)
    assert (await world.record(batch_id)).block_number == before.block_number + 1


async def test_f41_reorg_leaves_alone_what_is_below_it(world: World) -> None:
    kept, moved = await world.batch(), None
    await world.until_quiet()
    completed_at = await world.fetchval("SELECT completed_at FROM batches")
    await world.rpc("anvil_mine", "0x5")
    moved = await world.batch()
    await world.until_quiet()
    await world.rpc("anvil_reorg", 3, [])
    await world.until_quiet()
    await world.check_all_final(kept, moved)
    batch = "SELECT completed_at FROM batches WHERE batch_id = $1"
    assert await world.fetchval(batch, kept) == completed_at


async def test_f41_many_anchors_vanish_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirmation, "PAGE", 2)
    batch_ids: list[UUID] = []
    for _ in range(7):
        batch_ids.append(await world.batch())
        await world.until_quiet()
    await world.rpc("anvil_reorg", 5, [])
    await world.until_quiet()
    await world.check_all_final(*batch_ids)


async def test_f41_a_chain_that_lost_its_past_gets_contract_and_anchors_again(
    world: World,
) -> None:
    """As a development chain whose data was deleted: nothing is left, the contract neither."""
    batch_ids = [await world.batch()]
    await world.until_quiet()
    batch_ids.append(await world.batch())
    await world.until_quiet()
    contract = (await world.record(batch_ids[0])).contract
    await world.rpc("anvil_rollback", await world.number("eth_blockNumber"))
    await world.until_quiet()
    await world.check_all_final(*batch_ids)
    assert (await world.record(batch_ids[1])).contract == contract
    # The same seen by a process that starts only now, and after the chain has grown past the
    # remembered head.
    await world.rpc("anvil_rollback", await world.number("eth_blockNumber"))
    await world.rpc("anvil_mine", "0x20")
    await world.until_quiet(world.process())
    await world.check_all_final(*batch_ids)


async def test_f41_a_killed_development_chain_loses_its_last_seconds(
    servers: Servers, database_url: str
) -> None:
    await servers.whole_again()
    chain_url = servers.environment["VOKETAG_CHAIN_URL"]
    async with open_world(database_url, chain_url) as world:
        root = os.urandom(32)
        batch_id = await world.batch(root)
        await world.until_quiet()
        await servers.kill("chain")
        await servers.ready("chain")
        # The head alone is enough to see it, though nothing waits.
        await world.until_quiet()
        record = await world.record(batch_id)
        assert record.status == "final"
        assert record.tx_hash is not None
        assert await world.chain.receipt(record.tx_hash) is not None
        assert (await world.anchored_roots()).count(root) == 1


async def test_a_call_without_effect_is_no_success(world: World) -> None:
    """The contract vanished unnoticed: a call to an address without code succeeds."""
    await world.until_quiet()
    contract = "0x" + (await _registry(world)).contract.hex()
    code = await world.rpc("eth_getCode", contract, "latest")
    batch_id = await world.batch()
    await world.rpc("anvil_setCode", contract, "0x")
    await world.anchoring.advance()
    await world.rpc("anvil_setCode", contract, code)
    await world.until_quiet()
    await world.check_all_final(batch_id)
    assert await world.fetchval("SELECT count(*) FROM anchor_transactions") == 2


async def test_a_reorganisation_while_reading_writes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.until_quiet()
    await world.rpc("evm_setAutomine", False)
    batch_id = await world.batch()
    await world.until("submitted")
    await world.rpc("evm_mine")
    await world.rpc("evm_setAutomine", True)
    honest = world.chain.block_by_number
    reads: list[object] = []

    async def another_head_at_the_end(number: int | str) -> Block | None:
        block = await honest(number)  # type: ignore[arg-type]
        reads.append(number)
        # The last of: the head, the head remembered, the block of the receipt, the head again.
        if block is not None and len(reads) == 4:
            return Block(block.number, b"\xee" * 32, block.timestamp)
        return block

    with monkeypatch.context() as patch:
        patch.setattr(world.chain, "block_by_number", another_head_at_the_end)
        with pytest.raises(Unavailable, match="while it was read"):
            await world.anchoring.advance()
    assert await world.statuses() == ["submitted"]
    await world.until_quiet()
    await world.check_all_final(batch_id)


async def test_f43_a_node_that_lags_is_waited_for(database_url: str, chain_url: str) -> None:
    """On a public chain a lower head is another node's, until it stays far below."""
    database, chain = await Database.open(database_url), Chain(chain_url)
    registry = Registry(1, b"\1" * 20, Sender(signing.DEVELOPMENT_KEY, 1), 12)
    try:
        async with database.transaction() as connection:
            await anchor_blocks.set_head(connection, 1, 100, b"\1" * 32)
        behind = Block(95, b"\2" * 32, 0)
        with pytest.raises(Unavailable, match="at block 95, 100 was seen"):
            await confirmation.recheck(database, chain, registry, behind, _forget)
        far_behind = Block(80, b"\2" * 32, 0)
        assert await confirmation.recheck(database, chain, registry, far_behind, _forget)
        assert not await confirmation.recheck(database, chain, registry, far_behind, _forget)
    finally:
        await chain.close()
        await database.close()


async def _forget(_: Sequence[UUID]) -> None:
    """There is no cache."""


async def _registry(world: World) -> Registry:
    return await open_registry(world.chain, world.settings)
