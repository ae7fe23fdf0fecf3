"""advance() and what surrounds it: the account's funds, strangers with its key, a chain that was
away, settings that lead elsewhere.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import pytest

from tests.anchoring import World, always, open_world
from tests.servers import eventually
from voketag import metrics
from voketag.anchoring import commitment, registry
from voketag.chain import signing
from voketag.chain.fees import Fees
from voketag.chain.signing import Sender
from voketag.errors import SettingsError, Unavailable

ACCOUNT = Sender(signing.DEVELOPMENT_KEY, 31337)
ADDRESS = "0x" + ACCOUNT.address.hex()
SEPOLIA = 11155111


@pytest.fixture
async def world(database_url: str, chain_url: str) -> AsyncIterator[World]:
    async with open_world(database_url, chain_url) as opened:
        yield opened


def refused_for_funds() -> float:
    sample = ("voketag_anchor_broadcasts_total", {"answer": "no funds"})
    return metrics.REGISTRY.get_sample_value(*sample) or 0.0


async def test_f38_f40_without_funds_it_waits_offers_no_more_and_goes_on_when_there_are(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.until_quiet()
    balance = await world.rpc("eth_getBalance", ADDRESS, "latest")
    await world.rpc("anvil_setBalance", ADDRESS, "0x1")
    batch_id = await world.batch()
    before = refused_for_funds()

    async def refused_again_and_again() -> bool:
        await world.anchoring.advance()
        return refused_for_funds() >= before + 4

    await eventually(refused_again_and_again)
    assert f"account={ADDRESS}" in capsys.readouterr().out
    assert await world.fetchval("SELECT count(*) FROM anchor_transactions") == 1
    await world.rpc("anvil_setBalance", ADDRESS, balance)
    await world.until_quiet()
    await world.check_all_final(batch_id)


async def test_f37_f39_a_stranger_with_the_key_sends_at_every_step(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever nonce was asked for, signed for or sent with, the stranger comes first."""
    await world.until_quiet()
    batch_ids = []
    for step in ("market", "send_raw", "transaction_count", "receipt"):
        batch_ids.append(await world.batch())
        honest = getattr(world.chain, step)
        used = False

        async def overtaken(*asked: object, honest: object = honest) -> object:
            nonlocal used
            if not used:
                used = True
                await _stranger_sends(world)
            return await honest(*asked)  # type: ignore[operator]

        with monkeypatch.context() as patch:
            patch.setattr(world.chain, step, overtaken)
            await world.until_quiet()
        assert used, step
    await world.check_all_final(*batch_ids)
    await world.check_no_open_nonce()


async def test_f37_a_stranger_whose_transaction_waits_in_the_pool(world: World) -> None:
    await world.until_quiet()
    await world.rpc("evm_setAutomine", False)
    await _stranger_sends(world)
    batch_id = await world.batch()
    for _ in range(3):
        await world.anchoring.advance()
    await world.rpc("evm_setAutomine", True)
    await world.rpc("evm_mine")
    await world.until_quiet()
    await world.check_all_final(batch_id)
    await world.check_no_open_nonce()


async def test_f43_what_was_queued_while_the_chain_was_away_goes_into_few_transactions(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commitment, "MOST_ROOTS", 1000)
    await world.until_quiet()
    with monkeypatch.context() as patch:
        patch.setattr(world.chain, "head", _away)
        await world.batches(3500)
        with pytest.raises(Unavailable):
            await world.anchoring.advance()
    assert metrics.REGISTRY.get_sample_value("voketag_roots_waiting") == 3500
    first = await world.batch()
    await world.until_quiet(timeout_s=60)
    counts = await world.fetchval("SELECT array_agg(batch_count ORDER BY nonce) FROM anchors")
    assert counts == [1000, 1000, 1000, 501]
    assert await world.fetchval("SELECT count(*) FROM batches WHERE status = 'completed'") == 3501
    await world.check_all_final(first)


async def test_f41_what_is_said_elsewhere_is_forgotten_before_an_anchor_is_orphaned(
    world: World,
) -> None:
    """A crash in between leaves batches that are asked for again, never one that is shown wrong."""
    forgotten: list[UUID] = []

    async def fail(_: Sequence[UUID]) -> None:
        raise Unavailable("redis: away")

    async def forget(batch_ids: Sequence[UUID]) -> None:
        assert await world.statuses() == ["final"]
        forgotten.extend(batch_ids)

    batch_ids = [await world.batch() for _ in range(3)]
    await world.until_quiet()
    await world.rpc("anvil_reorg", 1, [])
    with pytest.raises(Unavailable, match="redis"):
        await world.process(forget=fail).advance()
    assert await world.statuses() == ["final"]
    await world.until_quiet(world.process(forget=forget))
    assert sorted(forgotten) == sorted(batch_ids)
    await world.check_all_final(*batch_ids)


# ---------------------------------------------------------------------- refusals at the start


async def test_f43_another_chain_than_the_one_that_was_set_is_refused(world: World) -> None:
    world.configure(chain_id=SEPOLIA)
    with pytest.raises(SettingsError) as raised:
        await world.anchoring.advance()
    (fault,) = raised.value.faults
    assert fault == (
        "VOKETAG_CHAIN_ID is 11155111, and VOKETAG_CHAIN_URL leads to chain 31337: "
        "give the URL of a server of chain 11155111"
    )
    world.configure(chain_id=31337)
    await world.until_quiet()


async def test_f43_what_was_right_at_the_start_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that is put back from nothing has no contract yet: no reason to end the process."""
    await world.until_quiet()
    contract = (await registry.open_registry(world.chain, world.settings)).contract
    world.configure(contract="0x" + contract.hex())
    await world.until_quiet()
    batch_id = await world.batch()
    with monkeypatch.context() as patch:
        patch.setattr(world.chain, "head", _away)
        with pytest.raises(Unavailable):
            await world.anchoring.advance()
        patch.setattr(world.chain, "has_code", always(value=False))
        with pytest.raises(Unavailable, match="not as it was at the start: VOKETAG_CONTRACT"):
            await world.anchoring.advance()
    await world.until_quiet()
    await world.check_all_final(batch_id)


@pytest.mark.parametrize("code", ["0x00", "0x60006000fd"], ids=["says nothing", "reverts"])
async def test_f43_what_is_no_registry_is_refused(world: World, code: str) -> None:
    address = "0x" + "ab" * 20
    await world.rpc("anvil_setCode", address, code)
    world.configure(contract=address)
    with pytest.raises(SettingsError, match=r"VOKETAG_CONTRACT: .* is no registry"):
        await world.anchoring.advance()


async def _away(*_: object) -> object:
    raise Unavailable("chain: away")


async def _stranger_sends(world: World) -> None:
    """Somebody else who has the key, with a fee that replaces ours."""
    nonce = await world.number("eth_getTransactionCount", ADDRESS, "latest")
    signed = ACCOUNT.no_op(nonce=nonce, fees=Fees(10**12, 10**11))
    with contextlib.suppress(AssertionError):  # the node already has it
        await world.rpc("eth_sendRawTransaction", "0x" + signed.raw.hex())
