"""Everything that signs: a new anchor, a higher offer for one, a new nonce for one.

Each asks the chain first, then stores nonce, transaction and roots in one database transaction, and
tells nobody: sending is another step. A crash before the commit has used no nonce and committed no
root; a crash after it leaves bytes that wait to be sent.
"""

from __future__ import annotations

import asyncio
from uuid import UUID

import asyncpg
import structlog

from voketag import merkle
from voketag.anchoring.registry import Registry
from voketag.chain import fees, signing
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
MOST_TRANSACTIONS = 16  # signed for one anchor
GAS_LIMIT_LEAST = 100_000  # an anchor takes 45,387 on Ethereum; chains with data fees take more
log = structlog.get_logger()


async def gather(database: Database, chain: Chain, registry: Registry, window_s: float) -> None:
    """Once the oldest waiting root has waited `window_s`, sign one transaction for all of them.

    Raises Conflict where another writer was faster; nothing is changed then.
    """
    async with database.connection() as connection:
        waiting = await anchors.waiting(connection)
        if not waiting.count or waiting.age_s < window_s:
            return
        if await anchors.in_flight(connection, registry.chain_id) >= MOST_IN_FLIGHT:
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


async def sign_anew(database: Database, chain: Chain, registry: Registry, anchor: Anchor) -> None:
    """Give an anchor a new nonce: something else used its own up, and its root is not anchored.

    Its earlier transactions stay watched. Should one of them come back after a reorganisation, the
    later one can do nothing but revert.
    """
    if not _may_sign(registry, anchor):
        log.error("anchor cannot be sent again", anchor_id=str(anchor.anchor_id))
        return
    offer, used, gas_limit = await _conditions(chain, registry, anchor.root, anchor.contract)
    async with database.transaction() as connection:
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
    last offer was made `raise_after_s` ago, or was refused as too low `refused_after_s` ago.
    """
    own = [anchor for anchor in pending if anchor.sender == registry.sender.address]
    if not own or not _may_sign(registry, own[0]):
        return
    anchor, last = own[0], own[0].transactions[-1]
    refused = last.error is not None and last.error.startswith("underpriced")
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


def _may_sign(registry: Registry, anchor: Anchor) -> bool:
    return anchor.sender == registry.sender.address and len(anchor.transactions) < MOST_TRANSACTIONS


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
    """What to offer, the nonces the chain has seen used, and the gas limit."""
    market, used, gas_limit = await asyncio.gather(
        chain.market(),
        chain.transaction_count(registry.sender.address, "pending"),
        _gas_limit(chain, registry, root, contract),
    )
    return fees.first(market), used, gas_limit


async def _gas_limit(chain: Chain, registry: Registry, root: bytes, contract: bytes) -> int:
    """A limit is not a price: what is not used is not paid. So there is room above the estimate."""
    call = signing.anchor_call(root)
    estimate = await chain.gas_estimate(registry.sender.address, contract, call)
    return max(GAS_LIMIT_LEAST, (estimate or 0) * 3 // 2)


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
