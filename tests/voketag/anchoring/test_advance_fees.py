"""advance() where an offer is too low: more is offered, within bounds, and nothing is forgotten."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import pytest

from tests.anchoring import World, always, open_world
from tests.servers import eventually
from voketag.anchoring.advance import Patience


@pytest.fixture
async def world(database_url: str, chain_url: str) -> AsyncIterator[World]:
    async with open_world(database_url, chain_url) as opened:
        yield opened


async def until_signed(world: World, count: int) -> None:
    """Let the process work until so many transactions were signed."""

    async def signed() -> bool:
        await world.anchoring.advance()
        return await world.fetchval("SELECT count(*) FROM anchor_transactions") == count

    await eventually(signed)


async def test_f40_stuck_below_the_fee_it_is_replaced(world: World) -> None:
    await world.until_quiet()
    await world.rpc("evm_setAutomine", False)
    batch_id = await world.batch()
    await until_signed(world, 3)
    async with world.database.connection() as connection:
        rows = await connection.fetch("SELECT * FROM anchor_transactions ORDER BY signed_at")
    for before, after in itertools.pairwise(rows):
        for fee in ("max_fee_per_gas", "max_priority_fee_per_gas"):
            assert after[fee] * 1000 >= before[fee] * 1125
    await world.rpc("evm_setAutomine", True)
    await world.rpc("evm_mine")
    await world.until_quiet()
    await world.check_all_final(batch_id)


async def test_f40_an_earlier_hash_that_wins_is_noticed(world: World) -> None:
    await world.until_quiet()
    await world.rpc("evm_setAutomine", False)
    batch_id = await world.batch()
    await until_signed(world, 2)
    raws = await world.fetchval("SELECT array_agg(raw ORDER BY signed_at) FROM anchor_transactions")
    assert isinstance(raws, list)
    await world.rpc("anvil_dropAllTransactions")
    await world.rpc("eth_sendRawTransaction", "0x" + raws[0].hex())
    await world.rpc("evm_setAutomine", True)
    await world.rpc("evm_mine")
    await world.until_quiet()
    await world.check_all_final(batch_id)
    assert (await world.record(batch_id)).tx_hash == await world.fetchval(
        "SELECT tx_hash FROM anchor_transactions ORDER BY signed_at LIMIT 1"
    )


async def test_f40_a_spike_of_the_base_fee_is_followed_up_to_the_limit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.until_quiet()
    batch_id = await world.batch()
    market = await world.chain.market()
    await world.rpc("anvil_setNextBlockBaseFeePerGas", hex(50 * 10**9))
    with monkeypatch.context() as patch:
        patch.setattr(world.chain, "market", always(market))  # as it was before the spike
        await world.anchoring.advance()
    error = await world.fetchval("SELECT error FROM anchor_transactions")
    assert str(error).startswith("underpriced")
    assert await world.statuses() == ["queued"]
    await world.until_quiet()
    await world.check_all_final(batch_id)
    # Above the limit nothing is offered: it waits.
    await world.rpc("anvil_setNextBlockBaseFeePerGas", hex(10**12))
    await world.rpc("evm_mine")
    later = await world.batch()
    for _ in range(5):
        await world.anchoring.advance()
    assert await world.fetchval("SELECT max(max_fee_per_gas) FROM anchor_transactions") == 500e9
    assert (await world.record(later)).status == "queued"


async def test_f40_replacements_are_bounded(world: World) -> None:
    await world.until_quiet()
    await world.rpc("evm_setAutomine", False)
    await world.batch()
    world.anchoring = world.process(Patience(resend_s=0.0, raise_s=0.0, open_s=0, idle_s=0))
    for _ in range(25):
        await world.anchoring.advance()
    assert await world.fetchval("SELECT count(*) FROM anchor_transactions") == 16
