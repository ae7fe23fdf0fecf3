"""Anchoring: batch roots are gathered, one transaction commits them, the chain confirms it.

`advance()` is the one procedure. It takes the state from Postgres and the chain each time and does
what is due; the first call after a crash is a call like any other. What a crash at each point means
is said there. Three rules make every point harmless:

- A transaction is stored before anyone sees it, with its nonce and the roots it commits, in one
  database transaction. So whatever a node may have received, its bytes are here, and no nonce is
  burnt without them.
- Sending the same bytes again is always right: a nonce takes effect once.
- Only a receipt with our event in a canonical block says that something took effect. What a node
  answered to a broadcast decides nothing.

And where all of this fails, the contract refuses a root it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from voketag import metrics
from voketag.anchoring import commitment, confirmation
from voketag.anchoring.confirmation import Forget
from voketag.anchoring.registry import Registry, open_registry
from voketag.chain.answers import Answer, Sent
from voketag.chain.client import Block, Chain
from voketag.errors import Conflict, SettingsError, Unavailable
from voketag.records import anchors
from voketag.records.anchors import Anchor
from voketag.records.database import Database
from voketag.settings import Settings

_TAKEN = (Sent.ACCEPTED, Sent.ALREADY_KNOWN)
log = structlog.get_logger()


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds: before the same bytes are sent again, before more is offered,
    and before `advance()` is worth another call while something is open, or nothing is.
    """

    resend_s: float
    raise_s: float
    open_s: float
    idle_s: float


DEVELOPMENT = Patience(resend_s=1.0, raise_s=10.0, open_s=0.2, idle_s=1.0)
PUBLIC = Patience(resend_s=30.0, raise_s=90.0, open_s=2.0, idle_s=5.0)
_JUST_SENT_S = 0.02  # a development chain makes the block at once


@dataclass(frozen=True)
class Progress:
    """What one `advance()` leaves: anchors that are not final, roots without an anchor, and the
    seconds after which the next call is worth while. `writer` is False where another process was.
    """

    open_anchors: int
    waiting_roots: int
    delay_s: float
    writer: bool = True


async def _nothing_cached(_: Sequence[UUID]) -> None:
    """There is no cache to clear."""


class Anchoring:
    """Brings batch roots onto the chain. Nothing is kept in memory but what can be read again.

    `forget` is called with batches that are no longer completed, before they are marked so.
    """

    def __init__(
        self,
        database: Database,
        chain: Chain,
        settings: Settings,
        patience: Patience | None = None,
        forget: Forget = _nothing_cached,
    ) -> None:
        self._database = database
        self._chain = chain
        self._settings = settings
        self._given_patience = patience
        self._forget = forget
        self._registry: Registry | None = None
        self._opened = False
        self._looked_at: object = None

    async def advance(self) -> Progress:
        """Do whatever is due now. Raises Unavailable where Postgres or the chain does not answer,
        and SettingsError where at the start the chain is not the one that the settings were made
        for.

        One process at a time: a lock that ends with its transaction, held on a connection of its
        own while this runs. Being bound to a transaction it works through PgBouncer as well, and
        the server frees it however we end. Should two writers meet all the same, nonces and roots
        are unique in the tables: one of them gets Conflict and has changed nothing.
        """
        async with self._database.transaction() as connection:
            if not await anchors.try_lock(connection):
                return Progress(0, 0, DEVELOPMENT.idle_s, writer=False)
            # Before the chain is asked: while it is away, this is what tells.
            waiting = await anchors.waiting(connection)
            metrics.ROOTS_WAITING.set(waiting.count)
            metrics.ROOTS_WAITING_SECONDS.set(waiting.age_s)
            return await self._advance()

    async def _advance(self) -> Progress:
        # Forgotten while this runs: after any failure the contract is looked at again.
        registry, self._registry = self._registry, None
        registry = registry or await self._open()
        patience = self._given_patience or (DEVELOPMENT if registry.development else PUBLIC)
        head = await self._chain.head()
        if await confirmation.recheck(self._database, self._chain, registry, head, self._forget):
            # A development chain may have lost the contract together with its last blocks.
            registry = await self._open()
        await self._look(registry, head, patience)
        await self._sign(registry, patience)
        sent = await self._broadcast(registry, patience)
        await commitment.close_gap(
            self._database,
            self._chain,
            registry,
            await self._pending(registry),
            after_s=patience.resend_s,
        )
        self._registry = registry
        return await self._progress(registry, patience, just_sent=sent > 0)

    async def _open(self) -> Registry:
        """The registry. What does not suit the settings ends the process at its start; later it is
        the chain's server that is not what it was, and is waited for.
        """
        try:
            registry = await open_registry(self._chain, self._settings)
        except SettingsError as error:
            if not self._opened:
                raise
            raise Unavailable(f"chain: not as it was at the start: {error.faults[0]}") from error
        self._opened = True
        return registry

    async def _look(self, registry: Registry, head: Block, patience: Patience) -> None:
        """See what became of the open anchors."""
        watched = await self._open_anchors(registry)
        looking_at = (head.hash, [anchor.transactions[-1].tx_hash for anchor in watched])
        if looking_at == self._looked_at and not registry.development:
            return  # nothing can have changed before the next block
        spent = await confirmation.look(self._database, self._chain, registry, head, watched)
        for anchor in spent:
            # Not at once after the last time: a server that miscounts could ask for it without end.
            if anchor.transactions[-1].signed_age_s >= patience.resend_s:
                await commitment.sign_anew(self._database, self._chain, registry, anchor)
        if spent:
            # What used the nonce up may have been our own call of a contract that was not there.
            await self._open()
        self._looked_at = None if spent else looking_at

    async def _sign(self, registry: Registry, patience: Patience) -> None:
        """Offer more for what is stuck, and sign for the roots whose window is over."""
        await commitment.raise_offer(
            self._database,
            self._chain,
            registry,
            await self._pending(registry),
            raise_after_s=patience.raise_s,
            refused_after_s=patience.resend_s,
        )
        try:
            await commitment.gather(
                self._database, self._chain, registry, self._settings.anchor_window_s
            )
        except Conflict as error:
            log.warning("another writer", error=str(error))

    async def _broadcast(self, registry: Registry, patience: Patience) -> int:
        """Send the newest bytes of every pending anchor, by nonce; gives how many were sent.

        A crash after the node took them and before this is noted: they are sent again and the node
        says that it knows them, or, once they are in a block, that the nonce is too low. Neither
        decides anything: the next look finds the receipt, or finds the nonce used up.
        """
        sent = 0
        for anchor in await self._pending(registry):
            if not _due(anchor, patience):
                continue
            newest = anchor.transactions[-1]
            answer = await self._chain.send_raw(newest.raw)
            taken = answer.sent in _TAKEN
            error = None if taken else f"{answer.sent.value}: {answer.text}"
            async with self._database.transaction() as connection:
                await anchors.record_sent(
                    connection, anchor.anchor_id, newest.tx_hash, taken=taken, error=error
                )
            _tell(anchor, answer)
            sent += 1
        return sent

    async def _progress(
        self, registry: Registry, patience: Patience, *, just_sent: bool
    ) -> Progress:
        window_s = self._settings.anchor_window_s
        open_anchors = await self._open_anchors(registry)
        async with self._database.connection() as connection:
            waiting = await anchors.waiting(connection)
        metrics.ANCHORS_OPEN.set(len(open_anchors))
        delay_s = patience.open_s if open_anchors or waiting.count else patience.idle_s
        if just_sent and registry.development:
            delay_s = _JUST_SENT_S
        if waiting.count and waiting.age_s < window_s:
            delay_s = min(delay_s, window_s - waiting.age_s)
        return Progress(len(open_anchors), waiting.count, delay_s)

    async def _open_anchors(self, registry: Registry) -> list[Anchor]:
        async with self._database.connection() as connection:
            return await anchors.open_anchors(connection, registry.chain_id)

    async def _pending(self, registry: Registry) -> list[Anchor]:
        """The anchors that are in no block, by nonce."""
        open_anchors = await self._open_anchors(registry)
        return [anchor for anchor in open_anchors if anchor.status != "included"]


def _tell(anchor: Anchor, answer: Answer) -> None:
    """Log and count what a node said; what no waiting will mend is an error."""
    metrics.BROADCASTS.labels(answer.sent.value).inc()
    told = {"anchor_id": str(anchor.anchor_id), "answer": answer.sent.value}
    if answer.sent is Sent.NO_FUNDS:
        account = "0x" + anchor.sender.hex()
        log.error("anchor waits for funds: send some to the account", account=account, **told)
    elif answer.sent is Sent.REJECTED:
        log.error("anchor refused by the node", words=answer.text, **told)
    else:
        log.info("anchor sent", **told)


def _due(anchor: Anchor, patience: Patience) -> bool:
    """Whether an anchor's newest bytes are to be sent: never sent, gone from the chain again, or
    sent so long ago that the node may have forgotten them.
    """
    newest = anchor.transactions[-1]
    if newest.sent_age_s is None or newest.sent_age_s >= patience.resend_s:
        return True
    return anchor.status == "orphaned" and newest.error is None
