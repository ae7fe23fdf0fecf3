"""advance(): from waiting roots to final anchors, whatever happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.anchoring import World, always, open_world
from tests.servers import eventually
from voketag import metrics
from voketag.anchoring.registry import deploy
from voketag.chain import signing
from voketag.chain.fees import Fees
from voketag.chain.signing import Sender
from voketag.errors import Unavailable
from voketag.records import anchors


@pytest.fixture
async def world(database_url: str, chain_url: str) -> AsyncIterator[World]:
    async with open_world(database_url, chain_url) as opened:
        yield opened


async def test_a_root_is_anchored_and_its_batch_completed(world: World) -> None:
    batch_id = await world.batch()
    assert (await world.record(batch_id)).status == "queued"
    await world.until_quiet()
    await world.check_all_final(batch_id)
    record = await world.record(batch_id)
    assert record.path == ()
    assert record.chain_id == 31337
    assert record.contract is not None
    assert record.root is not None
    assert record.anchored_at is not None
    at = await world.chain.anchored_at(record.contract, record.root)
    assert at == record.anchored_at.timestamp()


async def test_a_window_gathers_batches_into_one_transaction(world: World) -> None:
    waiting = world.process(anchor_window_s=3600.0)
    batch_ids = [await world.batch() for _ in range(7)]
    progress = await waiting.advance()
    assert (progress.open_anchors, progress.waiting_roots) == (0, 7)
    assert 0 < progress.delay_s <= 3600
    await world.until_quiet()
    await world.check_all_final(*batch_ids)
    assert await world.statuses() == ["final"]
    assert {len((await world.record(batch_id)).path) for batch_id in batch_ids} == {2, 3}


async def test_finals_and_their_gas_are_counted_once(world: World) -> None:
    def counted() -> tuple[float, float]:
        finals = metrics.REGISTRY.get_sample_value("voketag_anchors_final_total") or 0
        return finals, metrics.REGISTRY.get_sample_value("voketag_anchor_gas_total") or 0

    world.anchoring = world.process(confirmations=2)
    await world.batch()
    before = counted()
    await world.until("included")
    assert counted() == before  # it may still vanish
    await world.rpc("evm_mine")
    await world.until_quiet()
    await world.anchoring.advance()
    gas_used = await world.fetchval("SELECT gas_used FROM anchors")
    assert isinstance(gas_used, int)
    assert counted() == (before[0] + 1, before[1] + gas_used)


async def test_quiet_means_no_transaction(world: World) -> None:
    await world.until_quiet()
    height = await world.number("eth_blockNumber")
    progress = await world.anchoring.advance()
    assert (progress.open_anchors, progress.waiting_roots) == (0, 0)
    assert await world.number("eth_blockNumber") == height


async def test_finality_takes_the_confirmations_asked_for(world: World) -> None:
    world.anchoring = world.process(confirmations=3)
    batch_id = await world.batch()
    await world.until("included")
    record = await world.record(batch_id)
    assert record.block_hash is not None
    await world.rpc("evm_mine")
    await world.anchoring.advance()
    assert await world.statuses() == ["included"]
    assert await world.fetchval("SELECT status FROM batches") == "processing"
    await world.rpc("evm_mine")
    await world.anchoring.advance()
    await world.check_all_final(batch_id)


async def test_f37_the_nonce_is_ours_where_the_chain_is_behind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.until_quiet()
    await world.rpc("evm_setAutomine", False)
    first = await world.batch()
    await world.until("submitted")
    # A node that has not seen what we sent would hand out the same nonce again.
    monkeypatch.setattr(world.chain, "transaction_count", always(0))
    second = await world.batch()
    await world.until("submitted", "submitted")
    await world.rpc("evm_setAutomine", True)
    await world.rpc("evm_mine")
    await world.until_quiet()
    await world.check_all_final(first, second)


async def test_f37_the_chain_counts_where_the_table_is_behind(world: World) -> None:
    """The account was used by someone else since."""
    first = await world.batch()
    await world.until_quiet()
    for _ in range(3):
        await _use_a_nonce(world)
    second = await world.batch()
    await world.until_quiet()
    await world.check_all_final(first, second)
    nonce = await world.fetchval("SELECT max(nonce) - min(nonce) FROM anchors")
    assert nonce == 4


async def test_f38_a_gap_below_our_nonces_is_filled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.until_quiet()
    # A nonce two above what the chain knows, as after a chain that lost other transactions.
    used = await world.chain.transaction_count(_owner(), "latest")
    with monkeypatch.context() as patch:
        patch.setattr(world.chain, "transaction_count", always(used + 2))
        batch_id = await world.batch()
        await world.until("submitted")
    await world.until_quiet()
    await world.check_all_final(batch_id)
    assert await world.chain.transaction_count(_owner(), "latest") == used + 3


async def test_f37_f38_an_anchor_far_above_a_gap_moves_into_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that counted for another chain: to fill what it made a gap would cost a fortune."""
    await world.until_quiet()
    used = await world.chain.transaction_count(_owner(), "latest")
    batch_ids = []
    with monkeypatch.context() as patch:
        patch.setattr(world.chain, "transaction_count", always(10**9))
        for _ in range(3):
            batch_ids.append(await world.batch())
            await world.anchoring.advance()
    assert await world.fetchval("SELECT min(nonce) FROM anchors") == 10**9
    await world.until_quiet()
    await world.check_all_final(*batch_ids)
    assert await world.fetchval("SELECT max(nonce) FROM anchors") == used + 2


async def test_f39_two_writers_anchor_every_root_once(world: World) -> None:
    writers = [world.process() for _ in range(4)]
    batch_ids = []
    for _ in range(10):
        batch_ids.append(await world.batch())
        await asyncio.gather(*(writer.advance() for writer in writers))
    await world.until_quiet(*writers)
    await world.check_all_final(*batch_ids)


async def test_f39_a_second_process_idles_and_takes_over(world: World) -> None:
    second = world.process()
    async with world.database.transaction() as connection:
        assert await anchors.try_lock(connection)
        height = await world.number("eth_blockNumber")
        progress = await second.advance()
        assert not progress.writer
        assert progress.delay_s > 0
        assert await world.number("eth_blockNumber") == height
    batch_id = await world.batch()
    await world.anchoring.advance()
    await world.until_quiet(second)
    await world.check_all_final(batch_id)


async def test_f42_already_known_is_success(world: World) -> None:
    await world.until_quiet()
    await world.rpc("evm_setAutomine", False)
    batch_id = await world.batch()
    await world.until("submitted")
    # A crash after the broadcast and before its record.
    await world.fetchval("UPDATE anchors SET status = 'queued'")
    await world.fetchval("UPDATE anchor_transactions SET broadcast_at = NULL")
    await world.anchoring.advance()
    assert await world.statuses() == ["submitted"]
    await world.rpc("evm_setAutomine", True)
    await world.rpc("evm_mine")
    await world.until_quiet()
    await world.check_all_final(batch_id)


async def test_f42_nonce_too_low_is_success_where_a_hash_of_ours_is_included(world: World) -> None:
    batch_id = await world.batch()
    await world.until_quiet()
    await world.fetchval("UPDATE anchors SET status = 'queued'")
    await world.fetchval("UPDATE anchor_transactions SET broadcast_at = NULL")
    await world.until_quiet(world.process())
    await world.check_all_final(batch_id)


async def test_f42_nonce_too_low_without_a_receipt_gets_another_nonce(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else used the account in the instant between signing and sending."""
    await world.until_quiet()
    batch_id = await world.batch()
    with monkeypatch.context() as patch:
        patch.setattr(world.chain, "send_raw", _unavailable)
        with pytest.raises(Unavailable):
            await world.anchoring.advance()
    await _use_a_nonce(world)
    await world.until_quiet()
    await world.check_all_final(batch_id)
    assert await world.fetchval("SELECT count(*) FROM anchor_transactions") == 2


async def test_f44_a_root_that_is_anchored_already_is_final(world: World) -> None:
    """A database put back from a backup knows nothing of the transaction that anchored it."""
    root = b"\x07" * 32
    first = await world.batch(root)
    await world.until_quiet()
    tx_hash = (await world.record(first)).tx_hash
    await world.fetchval("DELETE FROM anchor_transactions")
    await world.fetchval("UPDATE anchor_roots SET anchor_id = NULL")
    await world.fetchval("DELETE FROM anchors")
    await world.fetchval("UPDATE batches SET status = 'processing', completed_at = NULL")
    await world.until_quiet(world.process())
    await world.check_all_final(first)
    record = await world.record(first)
    assert record.tx_hash == tx_hash
    assert await world.chain.transaction_count(_owner(), "latest") == 3, "one was sent and reverted"


def _owner() -> bytes:
    return Sender(signing.DEVELOPMENT_KEY, 31337).address


async def _use_a_nonce(world: World) -> None:
    """The account sends something that we know nothing of."""
    sender = Sender(signing.DEVELOPMENT_KEY, 31337)

    async def used() -> int:
        address = "0x" + sender.address.hex()
        return await world.number("eth_getTransactionCount", address, "latest")

    nonce = await used()
    signed = sender.no_op(nonce=nonce, fees=Fees(10**11, 10**10))
    await world.rpc("eth_sendRawTransaction", "0x" + signed.raw.hex())

    async def mined() -> bool:
        return await used() > nonce

    await eventually(mined)


async def _unavailable(*_: object) -> object:
    raise Unavailable("chain: cut off")


async def test_the_contract_is_created_once(world: World) -> None:
    sender = Sender(signing.DEVELOPMENT_KEY, 31337)
    addresses = await asyncio.gather(*(deploy(world.chain, sender) for _ in range(3)))
    assert len(set(addresses)) == 1
    assert await world.chain.owner(addresses[0]) == sender.address
