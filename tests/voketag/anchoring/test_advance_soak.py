"""advance() through a stretch of bad luck: everything at once, at random, from a printed seed.

Batches arrive, the server fails and lies, blocks vanish, transactions are dropped, fees jump,
mining stops, processes are thrown away. What is called final on the way must be so; and once it is
quiet again each root has one effective transaction. `SOAK_SEED` repeats a run.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from tests.anchoring import World, open_world
from tests.chain_proxy import ChainProxy, chain_proxy
from voketag.anchoring import registry
from voketag.chain import signing
from voketag.chain.client import Chain
from voketag.chain.signing import Sender
from voketag.errors import SettingsError, Unavailable
from voketag.records.anchors import open_anchors

STEPS, LONGEST_S = 60, 15.0
RATE = 0.08  # of calls that are spoilt
DEEPEST = 4  # blocks that vanish at once; less than a public chain's confirmations below
FIRST_BLOCKS = 40  # below which nothing vanishes: a public chain does not lose its contract


@pytest.fixture
async def proxy(chain_url: str) -> AsyncIterator[ChainProxy]:
    async with chain_proxy(chain_url) as opened:
        opened.delay_s, opened.pause_s = 0.01, 0.01
        yield opened


class Soak:
    """A world, the process that works in it, and what may happen to both."""

    def __init__(self, world: World, proxy: ChainProxy, chance: random.Random) -> None:
        self.world = world
        self.proxy = proxy
        self.chance = chance
        self.batch_ids: list[UUID] = []

    async def batches_arrive(self) -> None:
        for _ in range(self.chance.randint(1, 3)):
            self.batch_ids.append(await self.world.batch())

    async def blocks_vanish(self) -> None:
        height = await self.world.number("eth_blockNumber")
        depth = min(self.chance.randint(1, DEEPEST), height - FIRST_BLOCKS)
        if depth > 0:
            how = self.chance.choice(["anvil_reorg", "anvil_rollback"])
            await self.world.rpc(how, depth, *([[]] if how == "anvil_reorg" else []))

    async def transactions_are_dropped(self) -> None:
        await self.world.rpc("anvil_dropAllTransactions")

    async def one_transaction_is_dropped(self) -> None:
        tx_hash = await self.world.fetchval(
            "SELECT tx_hash FROM anchor_transactions ORDER BY signed_at DESC LIMIT 1"
        )
        if isinstance(tx_hash, bytes):
            await self.world.rpc("anvil_dropTransaction", "0x" + tx_hash.hex())

    async def fees_jump(self) -> None:
        base_fee = self.chance.randint(1, 200) * 10**9
        await self.world.rpc("anvil_setNextBlockBaseFeePerGas", hex(base_fee))

    async def mining_stops_or_goes_on(self) -> None:
        await self.world.rpc("evm_setAutomine", self.chance.random() < 0.5)

    async def blocks_come(self) -> None:
        await self.world.rpc("anvil_mine", hex(self.chance.randint(1, 5)))

    async def the_process_is_thrown_away(self) -> None:
        await self.world.chain.close()
        self.world.chain = Chain(self.proxy.url, timeout_s=0.5)
        self.world.anchoring = self.world.process()

    async def work(self) -> None:
        """Some steps of the process. What becomes final in one is final at its end: no block
        vanishes meanwhile.
        """
        for _ in range(self.chance.randint(1, 3)):
            before = await self.world.finals()
            try:
                await self.world.anchoring.advance()
            except Unavailable:
                pass
            except SettingsError:  # it ends, and is started again
                await self.the_process_is_thrown_away()
            confirmations = self.world.settings.confirmations or 1
            new = await self.world.finals() - before
            await self.world.check_truly_final(new, confirmations)

    async def go_on(self) -> None:
        """One thing happens, and the process works."""
        happening = self.chance.choices(
            [
                self.batches_arrive,
                self.blocks_come,
                self.mining_stops_or_goes_on,
                self.blocks_vanish,
                self.transactions_are_dropped,
                self.one_transaction_is_dropped,
                self.fees_jump,
                self.the_process_is_thrown_away,
            ],
            weights=[4, 4, 2, 2, 1, 1, 1, 2],
        )[0]
        await happening()
        await self.work()

    async def settle(self) -> None:
        """Let it become quiet: an honest server, blocks that come, fees that fall."""
        self.proxy.behave()
        await self.world.rpc("evm_setAutomine", True)
        await self.the_process_is_thrown_away()
        for _ in range(400):
            await self.world.rpc("anvil_setNextBlockBaseFeePerGas", hex(10**9))
            await self.world.rpc("evm_mine")
            with contextlib.suppress(Unavailable):
                progress = await self.world.anchoring.advance()
                if not progress.open_anchors and not progress.waiting_roots:
                    return
        raise AssertionError(await self.what_is_open())

    async def what_is_open(self) -> str:
        """Our open anchors beside what the chain counts and has in its pool."""
        async with self.world.database.connection() as connection:
            anchors = await open_anchors(connection, await self.world.number("eth_chainId"))
        lines = [
            f"{anchor.nonce} {anchor.status}, offers {len(anchor.transactions)}, the last "
            f"0x{last.tx_hash.hex()}: cap {last.cap}, signed {last.signed_age_s:.1f} s ago, "
            f"sent {last.sent_age_s}, {last.error}"
            for anchor in anchors
            for last in anchor.transactions[-1:]
        ]
        for sender in {"0x" + anchor.sender.hex() for anchor in anchors}:
            for block in ("latest", "pending"):
                count = await self.world.number("eth_getTransactionCount", sender, block)
                lines.append(f"{sender} has {count} {block}")
        lines.append(f"pool: {await self.world.rpc('txpool_inspect')}")
        return "\n".join(lines)


@pytest.mark.parametrize("kind", ["development", "public"])
async def test_f37_to_f44_everything_at_once(
    database_url: str,
    chain_url: str,
    proxy: ChainProxy,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    seed = int(os.environ.get("SOAK_SEED") or random.SystemRandom().getrandbits(32))
    print(f"SOAK_SEED={seed}")
    chance = random.Random(seed)
    monkeypatch.setattr(registry, "CREATION_TIMEOUT_S", 0.3)
    async with open_world(database_url, chain_url, through=proxy.url, timeout_s=0.5) as world:
        await world.rpc("anvil_mine", hex(FIRST_BLOCKS))
        changes: dict[str, object] = {"confirmations": 2}
        if kind == "public":
            contract = await registry.deploy(
                world.chain, Sender(signing.DEVELOPMENT_KEY, await world.chain.chain_id())
            )
            await world.rpc("anvil_mine", hex(FIRST_BLOCKS))
            monkeypatch.setattr(registry, "DEVELOPMENT_CHAIN_ID", 1)
            changes = {
                "confirmations": DEEPEST + 1,
                "chain_key": signing.DEVELOPMENT_KEY,
                "contract": "0x" + contract.hex(),
            }
        world.configure(**changes)
        soak = Soak(world, proxy, chance)
        proxy.rage(chance, RATE)
        deadline = time.monotonic() + LONGEST_S
        for _ in range(STEPS):
            if time.monotonic() > deadline:
                break
            await soak.go_on()
        await soak.batches_arrive()
        await soak.settle()
        await world.check_all_final(*soak.batch_ids)
        await world.check_no_open_nonce()
        assert proxy.met, "nothing was spoilt"
