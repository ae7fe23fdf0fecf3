"""The fault table: every step of advance() failed, and failed though it took effect.

A process that sees a fault here is thrown away, as by a crash, and another one starts. Then each
root has one effective transaction and is final, and no nonce is left open.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.anchoring import World, open_world
from voketag.anchoring import registry
from voketag.errors import Unavailable
from voketag.records import anchor_blocks, anchors

CHAIN_STEPS = (
    "chain_id",
    "head",
    "block_by_number",
    "receipt",
    "send_raw",
    "transaction_count",
    "market",
    "gas_estimate",
    "owner",
    "has_code",
)
WRITES = (
    (anchors, "insert_anchor"),
    (anchors, "insert_transaction"),
    (anchors, "assign_roots"),
    (anchors, "next_nonce"),
    (anchors, "record_sent"),
    (anchor_blocks, "set_head"),
    (anchor_blocks, "mark_included"),
    (anchor_blocks, "mark_final"),
    (anchor_blocks, "mark_orphaned"),
)
TIMES = (1, 2, 5)  # the first call, the first two, ... the step is hit wherever it is used
OWNER = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"  # a development chain's first account
BEFORE, AFTER = "failed", "failed, but took effect"

Step = Callable[..., Awaitable[Any]]


@pytest.fixture
async def world(database_url: str, chain_url: str) -> AsyncIterator[World]:
    async with open_world(database_url, chain_url) as opened:
        yield opened


class Faulty:
    """A step whose n-th call fails."""

    def __init__(self, step: Step, fails_at: int, when: str) -> None:
        self.step = step
        self.fails_at = fails_at
        self.when = when
        self.calls = 0

    async def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.calls += 1
        if self.calls == self.fails_at and self.when == BEFORE:
            raise Unavailable(BEFORE)
        result = await self.step(*arguments, **named)
        if self.calls == self.fails_at:
            raise Unavailable(AFTER)
        return result


async def work_through_crashes(world: World) -> int:
    """Advance until all is quiet, a new process after each fault; gives how many there were."""
    for faults in range(20):
        try:
            process = world.process()
            while True:
                progress = await process.advance()
                if not progress.open_anchors and not progress.waiting_roots:
                    return faults
        except Unavailable:
            continue
    raise AssertionError("faults without an end")


async def check(world: World, batch_ids: list[Any]) -> None:
    await world.check_all_final(*batch_ids)
    assert await world.fetchval("SELECT count(DISTINCT nonce) FROM anchors") == len(batch_ids)
    pending = await world.number("eth_getTransactionCount", OWNER, "pending")
    assert pending == await world.number("eth_getTransactionCount", OWNER, "latest")


@pytest.mark.parametrize("when", [BEFORE, AFTER])
@pytest.mark.parametrize("step", CHAIN_STEPS)
async def test_f38_f42_f43_a_call_of_the_chain(
    world: World, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    batch_ids = []
    hit = 0
    for fails_at in TIMES:
        batch_ids.append(await world.batch())
        with monkeypatch.context() as patch:
            patch.setattr(world.chain, step, Faulty(getattr(world.chain, step), fails_at, when))
            hit += await work_through_crashes(world)
        # And once more when what was final has vanished: the same steps, from another state.
        await world.rpc("anvil_reorg", 1, [])
        with monkeypatch.context() as patch:
            patch.setattr(world.chain, step, Faulty(getattr(world.chain, step), fails_at, when))
            hit += await work_through_crashes(world)
        await check(world, batch_ids)
    assert hit, "the table no longer meets the step"


@pytest.mark.parametrize("when", [BEFORE, AFTER])
async def test_f38_a_statement_fails(
    world: World, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    batch_ids = []
    for module, name in WRITES:
        hit = 0
        batch_ids.append(await world.batch())
        with monkeypatch.context() as patch:
            patch.setattr(module, name, Faulty(getattr(module, name), 1, when))
            hit += await work_through_crashes(world)
            await world.rpc("anvil_reorg", 1, [])
            hit += await work_through_crashes(world)
        assert hit == 1, name
        await check(world, batch_ids)


@pytest.mark.parametrize("when", [BEFORE, AFTER])
async def test_f34_f38_a_commit_fails(
    world: World, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """The n-th transaction of all is rolled back, or committed while its reply is lost."""
    batch_ids = []
    honest = world.database.transaction
    hit = 0
    for fails_at in range(1, 13):
        begun = 0

        @contextlib.asynccontextmanager
        async def transaction(fails_at: int = fails_at) -> AsyncIterator[Any]:
            nonlocal begun
            begun += 1
            number = begun
            async with honest() as connection:
                yield connection
                if number == fails_at and when == BEFORE:
                    raise Unavailable(BEFORE)
            if number == fails_at:
                raise Unavailable(AFTER)

        batch_ids.append(await world.batch())
        with monkeypatch.context() as patch:
            patch.setattr(world.database, "transaction", transaction)
            hit += await work_through_crashes(world)
        await world.rpc("anvil_reorg", 1, [])
        hit += await work_through_crashes(world)
        await check(world, batch_ids)
    assert hit >= 6, "the table no longer meets the commits"


@pytest.mark.parametrize("when", [BEFORE, AFTER])
async def test_f42_replacing_is_cut_off(
    world: World, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Stuck, and every step of offering more fails in turn."""
    await world.until_quiet()
    batch_ids = []
    steps = ((world.chain, "market"), (world.chain, "send_raw"), (anchors, "insert_transaction"))
    for owner, name in steps:
        await world.rpc("evm_setAutomine", False)
        batch_ids.append(await world.batch())
        await world.until(*["final"] * (len(batch_ids) - 1), "submitted")
        await world.fetchval(
            "UPDATE anchor_transactions SET signed_at = signed_at - interval '1 minute'"
        )
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, Faulty(getattr(owner, name), 1, when))
            with pytest.raises(Unavailable):
                await world.process().advance()
        await world.process().advance()
        assert await world.fetchval("SELECT count(*) FROM anchor_transactions") == (
            2 * len(batch_ids)
        )
        await world.rpc("evm_setAutomine", True)
        await world.rpc("evm_mine")
        await work_through_crashes(world)
        await check(world, batch_ids)


@pytest.mark.parametrize("when", [BEFORE, AFTER])
@pytest.mark.parametrize("step", ["has_code", "transaction_count", "market", "send_raw", "owner"])
async def test_creating_the_contract_is_cut_off(
    world: World, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(world.chain, step, Faulty(getattr(world.chain, step), 1, when))
        with pytest.raises(Unavailable):
            await registry.open_registry(world.chain, world.settings)
    opened = await registry.open_registry(world.chain, world.settings)
    assert await world.chain.owner(opened.contract) == opened.sender.address
