"""advance() against a chain's server that fails and lies, a real chain behind it.

While it lies, nothing is final that the chain does not say itself; once it is honest again, each
root has one effective transaction and no nonce is left open.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from tests.anchoring import World, open_world
from tests.chain_faults import FAULTS
from tests.chain_proxy import ChainProxy, chain_proxy
from voketag.anchoring import registry
from voketag.errors import SettingsError, Unavailable

FAMILIES = {
    "on the way": ("delay", "drop the request", "drop the reply", "ask twice", "slow", "redirect"),
    "no answer": ("500", "429", "a page", "not HTTP", "truncated", "huge", "gzip bomb"),
    "another answer": (
        *("an earlier answer", "wrong id", "wrong version", "another chain", "its key repeated"),
    ),
    "the chain": ("head backwards", "head in the future", "another block", "lagging"),
    "the account": ("nonce too low", "nonce too high", "fees beyond reason"),
    "receipts": (
        *("no block hash", "another block's receipt", "another's receipt"),
        *("reverted", "no event", "no receipt", "made-up receipt"),
    ),
    "broadcasts taken": (
        *("nonce too low, but taken", "underpriced, but taken", "refused, but taken"),
    ),
    "broadcasts not taken": (
        *("already known, but not", "nonce too low, but not", "taken, but not"),
        *("underpriced", "no funds"),
    ),
}


@pytest.fixture
async def proxy(chain_url: str) -> AsyncIterator[ChainProxy]:
    async with chain_proxy(chain_url) as opened:
        opened.pause_s = 0.01
        yield opened


@pytest.fixture
async def world(
    database_url: str, chain_url: str, proxy: ChainProxy, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setattr(registry, "CREATION_TIMEOUT_S", 0.2)
    async with open_world(database_url, chain_url, through=proxy.url, timeout_s=0.5) as opened:
        yield opened


async def work(world: World) -> None:
    """A few steps of a process that has just started; every fault ends it, as a crash would."""
    process = world.process()
    for _ in range(3):
        with contextlib.suppress(Unavailable, SettingsError):
            await process.advance()
        await world.check_truly_final(await world.finals())


def test_every_fault_is_in_the_table() -> None:
    assert sorted(fault for family in FAMILIES.values() for fault in family) == sorted(FAULTS)


@pytest.mark.parametrize("family", FAMILIES)
async def test_f37_f38_f39_f42_f43_f44_a_server_that_misbehaves(
    world: World, proxy: ChainProxy, family: str
) -> None:
    await world.until_quiet()  # the contract is there
    batch_ids: list[UUID] = []
    for fault in FAMILIES[family]:
        batch_ids.append(await world.batch())
        proxy.spoil(fault)
        await work(world)
        proxy.behave()
        assert proxy.met[fault], f"nothing was spoilt by {fault!r}"
        await world.until_quiet()
    await world.check_all_final(*batch_ids)
    await world.check_no_open_nonce()


@pytest.mark.parametrize("family", ["another answer", "the chain", "receipts"])
async def test_f41_f43_a_server_that_misbehaves_about_a_reorg(
    world: World, proxy: ChainProxy, family: str
) -> None:
    """It lies while an anchor waits for a block and another one has just vanished."""
    world.anchoring = world.process(confirmations=2)
    batch_ids: list[UUID] = []
    for fault in FAMILIES[family]:
        batch_ids.append(await world.batch())
        await _mined(world)
        before = await world.finals()
        await world.rpc("evm_setAutomine", False)
        await world.rpc("anvil_reorg", 2, [])
        batch_ids.append(await world.batch())
        proxy.spoil(fault)
        for _ in range(3):
            with contextlib.suppress(Unavailable):
                await world.anchoring.advance()
            await world.check_truly_final(await world.finals() - before, confirmations=2)
        proxy.behave()
        await world.rpc("evm_setAutomine", True)
        await _mined(world)
    await world.check_all_final(*batch_ids)
    await world.check_no_open_nonce()


async def _mined(world: World) -> None:
    """Work with a block after each step, until nothing is open."""
    for _ in range(200):
        await world.rpc("evm_mine")
        with contextlib.suppress(Unavailable):
            progress = await world.anchoring.advance()
            if not progress.open_anchors and not progress.waiting_roots:
                return
    raise AssertionError(await world.statuses())


async def test_f43_f44_a_made_up_receipt_completes_nothing(world: World, proxy: ChainProxy) -> None:
    """The block is there, the event is ours; but the contract knows nothing of it."""
    await world.until_quiet()
    await world.rpc("evm_setAutomine", False)
    batch_id = await world.batch()
    await world.until("submitted")
    proxy.spoil("made-up receipt")
    for _ in range(3):
        with pytest.raises(Unavailable, match="the contract does not"):
            await world.anchoring.advance()
    assert await world.statuses() == ["submitted"]
    proxy.behave()
    await world.rpc("evm_setAutomine", True)
    await world.rpc("evm_mine")
    await world.until_quiet()
    await world.check_all_final(batch_id)


async def test_f43_what_is_final_stays_so_where_one_answer_alone_denies_it(
    world: World, proxy: ChainProxy
) -> None:
    batch_id = await world.batch()
    await world.until_quiet()
    await world.rpc("anvil_mine", "0x2")
    await world.anchoring.advance()
    for fault in ("head backwards", "head in the future", "another block"):
        proxy.spoil(fault, times=1)
        with contextlib.suppress(Unavailable):
            await world.anchoring.advance()
        assert await world.statuses() == ["final"], fault
    assert proxy.asked["eth_sendRawTransaction"] == 2, "the contract and the anchor"
    await world.check_all_final(batch_id)
