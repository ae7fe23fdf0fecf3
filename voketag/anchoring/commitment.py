"""Everything that signs: a new anchor, a higher offer for one, a new nonce for one.

Each asks the chain first, then stores nonce, transaction and roots in one database transaction, and
tells nobody: sending is another step. A crash before the commit has used no nonce and committed no
root; a crash after it leaves bytes that wait to be sent.
"""

from __future__ import annotations

import asyncio
import itertools
from uuid import UUID

import asyncpg
import structlog

from voketag import merkle
from voketag.anchoring.registry import Registry
from voketag.chain import fees, signing
from voketag.chain.answers import Sent
from voketag.chain.client import Chain
from voketag.chain.fees import Fees
from voketag.chain.signing import Signed
from voketag.errors import Conflict
from voketag.identifiers import new_id
from voketag.records import anchors
from voketag.records.anchors import Anchor
from voketag.records.database import Connection, Database

MOST_IN_FLIGHT = 4  # anchors without a block; meanwhile roots gather for the next one
MOST_ROOTS = 10_000  # of one anchor
MOST_NO_OPS = 16  # that fill a gap between nonces
MOST_OFFERS = 16  # transactions of one anchor, above which no more is offered
# An anchor takes 45,387 on Ethereum; chains with data fees take more. The most keeps a false
# estimate from asking for funds that nobody has.
GAS_LIMIT_LEAST, GAS_LIMIT_MOST = 100_000, 3_000_000
log = structlog.get_logger()


async def gather(database: Database, chain: Chain, registry: Registry, window_s: float) -> None:
    """Once the oldest waiting root has waited `window_s`, sign one transaction for all of them.

    Raises Conflict where another writer was faster; nothing is changed then.
    """
    async with database.connection() as connection:
        waiting = await anchors.waiting(connection)
        if not waiting.count or waiting.age_s < window_s:
            return
        if (
            await anchors.in_flight(connection, registry.chain_id, registry.sender.address)
            >= MOST_IN_FLIGHT
        ):
            return
        roots = await anchors.waiting_roots(connection, MOST_ROOTS)
    tree = merkle.build(root for _, root in roots)
    root = merkle.node(tree, 0)
    offer, used, gas_limit = await _conditions(chain, registry, root, registry.contract)
    try:
        async with database.transaction() as connection:
            nonce = await _next_nonce(connection, registry, used)
            anchor = _new_anchor(registry, root, nonce)
            signed = _sign(registry, anchor, nonce, offer, gas_limit)
            await anchors.insert_anchor(connection, anchor, registry.chain_id, len(roots))
            await _store(connection, anchor, signed)
            paths = super_paths(tree, roots)
            if await anchors.assign_roots(connection, anchor.anchor_id, paths) != len(roots):
                raise Conflict("another process took these roots")
    except asyncpg.UniqueViolationError as error:
        raise Conflict(f"another process signed meanwhile: {error}") from error
    log.info("anchor signed", anchor_id=str(anchor.anchor_id), nonce=nonce, roots=len(roots))


def super_paths(tree: bytes, roots: list[tuple[UUID, bytes]]) -> list[tuple[UUID, bytes]]:
    """For each batch the sibling hashes that lead from its root, a leaf of `tree`, to the top."""
    first_leaf = len(roots) - 1
    places = {merkle.node(tree, first_leaf + at): first_leaf + at for at in range(len(roots))}
    return [(batch_id, b"".join(merkle.path(tree, places[root]))) for batch_id, root in roots]


async def sign_anew(
    database: Database, chain: Chain, registry: Registry, anchor: Anchor, nonce: int | None = None
) -> None:
    """Give an anchor another nonce, the next one unless said: its own will not take effect.

    Its earlier transactions stay watched. Should one of them come back after a reorganisation, the
    later one can do nothing but revert.
    """
    if anchor.sender != registry.sender.address:
        log.error(
            "anchor cannot be sent again: VOKETAG_CHAIN_KEY is not the key that signed it",
            anchor_id=str(anchor.anchor_id),
            account="0x" + anchor.sender.hex(),
        )
        return
    offer, used, gas_limit = await _conditions(chain, registry, anchor.root, anchor.contract)
    async with database.transaction() as connection:
        if nonce is None:
            nonce = await _next_nonce(connection, registry, used)
        await anchors.set_nonce(connection, anchor.anchor_id, nonce)
        await _store(connection, anchor, _sign(registry, anchor, nonce, offer, gas_limit))
    log.warning("anchor gets another nonce", anchor_id=str(anchor.anchor_id), nonce=nonce)


async def raise_offer(
    database: Database,
    chain: Chain,
    registry: Registry,
    pending: list[Anchor],
    *,
    raise_after_s: float,
    refused_after_s: float,
) -> None:
    """Offer more for our first pending anchor, if it is stuck; `pending` is in the order of nonces.

    The first alone: the others wait for its nonce, not for a better price. It is stuck when its
    last offer was made `raise_after_s` ago, or was refused as too low `refused_after_s` ago. What
    the account cannot pay is not offered more for.
    """
    own = [anchor for anchor in pending if anchor.sender == registry.sender.address]
    if not own or len(own[0].transactions) >= MOST_OFFERS:
        return
    anchor, last = own[0], own[0].transactions[-1]
    if last.error is not None and last.error.startswith(Sent.NO_FUNDS.value):
        return
    refused = last.error is not None and last.error.startswith(Sent.UNDERPRICED.value)
    if last.signed_age_s < (refused_after_s if refused else raise_after_s):
        return
    offer = fees.replacement(Fees(last.cap, last.tip), await chain.market())
    if offer is None:
        log.warning("fee limit reached", anchor_id=str(anchor.anchor_id), cap=last.cap)
        return
    gas_limit = await _gas_limit(chain, registry, anchor.root, anchor.contract)
    async with database.transaction() as connection:
        signed = _sign(registry, anchor, anchor.nonce, offer, gas_limit)
        await _store(connection, anchor, signed)
    log.warning("fee raised", anchor_id=str(anchor.anchor_id), cap=offer.cap, tip=offer.tip)


async def close_gap(
    database: Database, chain: Chain, registry: Registry, pending: list[Anchor], *, after_s: float
) -> None:
    """Where nothing of ours will use up a nonce, see to it that nothing waits for it for ever.

    A short gap comes about where a chain lost transactions that are no anchors, such as the
    creation of the contract. No-ops fill it; nothing is stored, for a no-op is harmless however
    often it is sent, and one that is late finds its nonce used. A long one comes about where a
    server counted for another chain, say. To fill it could cost a fortune, so the highest anchors
    move into it; should the bytes that they leave behind ever be due, they can but revert.
    """
    address = registry.sender.address
    own = [anchor for anchor in pending if anchor.sender == address]
    if not own or own[0].transactions[-1].signed_age_s < after_s:
        return
    used = max(
        await chain.transaction_count(address, "pending"),
        await chain.transaction_count(address, "latest"),
    )
    async with database.connection() as connection:
        ours = await anchors.nonces_from(connection, registry.chain_id, address, used)
    free = (nonce for nonce in range(used, own[-1].nonce) if nonce not in ours)
    missing = list(itertools.islice(free, MOST_NO_OPS + 1))
    if len(missing) > MOST_NO_OPS:
        for anchor, nonce in zip(reversed(own), missing, strict=False):
            if nonce < anchor.nonce:
                await sign_anew(database, chain, registry, anchor, nonce)
    elif missing:
        offer = fees.first(await chain.market())
        for nonce in missing:
            answer = await chain.send_raw(registry.sender.no_op(nonce=nonce, fees=offer).raw)
            log.warning("nonce gap filled", nonce=nonce, answer=answer.sent.value)


def _new_anchor(registry: Registry, root: bytes, nonce: int) -> Anchor:
    return Anchor(
        anchor_id=new_id(),
        contract=registry.contract,
        sender=registry.sender.address,
        nonce=nonce,
        root=root,
        status="queued",
    )


async def _conditions(
    chain: Chain, registry: Registry, root: bytes, contract: bytes
) -> tuple[Fees, int, int]:
    """What to offer, the nonces the chain has seen used, and the gas limit.

    A nonce too high waits for all those below it, so the chain's word is taken for what is in its
    blocks alone, and of two answers the lower one.
    """
    market, pending, mined, gas_limit = await asyncio.gather(
        chain.market(),
        chain.transaction_count(registry.sender.address, "pending"),
        chain.transaction_count(registry.sender.address, "latest"),
        _gas_limit(chain, registry, root, contract),
    )
    return fees.first(market), min(pending, mined), gas_limit


async def _gas_limit(chain: Chain, registry: Registry, root: bytes, contract: bytes) -> int:
    """A limit is not a price: what is not used is not paid. So there is room above the estimate."""
    call = signing.anchor_call(root)
    estimate = await chain.gas_estimate(registry.sender.address, contract, call)
    return min(max(GAS_LIMIT_LEAST, (estimate or 0) * 3 // 2), GAS_LIMIT_MOST)


async def _next_nonce(connection: Connection, registry: Registry, used: int) -> int:
    """From our own table; the chain counts only where it is ahead (the account was used by someone
    else), for a node may be behind what we sent.
    """
    return await anchors.next_nonce(
        connection, registry.chain_id, registry.sender.address, used_on_chain=used
    )


def _sign(registry: Registry, anchor: Anchor, nonce: int, offer: Fees, gas_limit: int) -> Signed:
    return registry.sender.anchor(
        anchor.root, anchor.contract, nonce=nonce, fees=offer, gas_limit=gas_limit
    )


async def _store(connection: Connection, anchor: Anchor, signed: Signed) -> None:
    await anchors.insert_transaction(
        connection,
        anchor.anchor_id,
        tx_hash=signed.tx_hash,
        raw=signed.raw,
        cap=signed.fees.cap,
        tip=signed.fees.tip,
    )
