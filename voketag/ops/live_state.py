"""How the whole system stands, read every other second while somebody watches."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
import structlog

from voketag import identifiers, topology
from voketag.administration import Stream, TopProduct
from voketag.anchoring.registry import confirmations_of
from voketag.errors import Unavailable
from voketag.ops.api_figures import TOP_PRODUCTS, stream_of, top_products
from voketag.ops.live_scans import Mix
from voketag.ops.process_counts import Key, read
from voketag.ops.troubles import Facts, Trouble, troubles
from voketag.ownership import LEASE_MS
from voketag.process import Wires
from voketag.records import anchoring_status, stats
from voketag.records.anchoring_status import OpenAnchor
from voketag.records.stats import Named
from voketag.redis.stream_status import StreamStatus, process_metrics, read_status
from voketag.settings import Settings

DATABASE_TIMEOUT_S = 2.0
log = structlog.get_logger()


class Anchor(msgspec.Struct, frozen=True):
    """An anchor on its way. `confirmations` counts the blocks since it was included, its own among
    them, of the `confirmations_needed`; null before. The fee is an offer, in wei.
    """

    anchor_id: UUID
    status: str
    batch_count: int
    tx_hash: str | None
    transactions: int
    age_s: float
    sent_age_s: float | None
    max_fee_per_gas: int | None
    gas_used: int | None
    block_number: int | None
    confirmations: int | None
    confirmations_needed: int
    error: str | None


class LastFinal(msgspec.Struct, frozen=True):
    """The last anchor that became final."""

    anchor_id: UUID
    batch_count: int
    tx_hash: str | None
    block_number: int | None
    gas_used: int | None
    final_at: datetime | None


class Anchoring(msgspec.Struct, frozen=True):
    """Batch roots without an anchor, for how long the oldest has waited (0 where none does), the
    anchors that are not final (the first few of them), and the last that is.
    """

    roots_waiting: int
    roots_waiting_s: float
    open_count: int
    open: tuple[Anchor, ...]
    last_final: LastFinal | None


class State(msgspec.Struct, frozen=True):
    """The system at one moment. What a server that does not answer would have said is null, and
    `troubles` says so, as everything else that is wrong.
    """

    at: str
    troubles: tuple[Trouble, ...]
    streams: tuple[Stream, ...] | None
    processes: dict[str, int] | None
    anchoring: Anchoring | None
    scans_today: int | None
    top_products: tuple[TopProduct, ...] | None
    mix: Mix


class _Redis(msgspec.Struct, frozen=True):
    streams: list[StreamStatus]
    processes: dict[str, int]
    counts: dict[Key, float]
    today: int
    top: list[tuple[UUID, int]]


class States:
    """Reads the state of the system over its wires."""

    def __init__(self, wires: Wires) -> None:
        self._wires = wires
        self._groups = topology.groups_of(wires.settings.shards)

    async def read(self, mix: Mix) -> State:
        """The state now, with the mix of scans that was seen."""
        redis = await self._of_redis()
        top = [] if redis is None else redis.top
        found = await self._of_database([product_id for product_id, _ in top])
        anchors, named = (None, {}) if found is None else found
        settings = self._wires.settings
        facts = Facts(
            streams=None if redis is None else redis.streams,
            processes=None if redis is None else redis.processes,
            counts={} if redis is None else redis.counts,
            anchoring=anchors,
            anchor_window_s=settings.anchor_window_s,
        )
        return State(
            at=identifiers.rfc3339(identifiers.time_of_ms(time.time_ns() // 1_000_000)),
            troubles=troubles(facts),
            streams=None if redis is None else tuple(map(stream_of, redis.streams)),
            processes=None if redis is None else redis.processes,
            anchoring=None if anchors is None else _anchoring(anchors, settings),
            scans_today=None if redis is None else redis.today,
            top_products=None if redis is None else top_products(top, named),
            mix=mix,
        )

    async def _of_redis(self) -> _Redis | None:
        redis, now_ms = self._wires.streams.redis, time.time_ns() // 1_000_000
        try:
            streams = await read_status(redis, self._groups, LEASE_MS)
            left = await process_metrics(redis, topology.PROCESSES)
            today = await self._wires.intake.today(now_ms)
            top = await self._wires.intake.top(now_ms, TOP_PRODUCTS)
        except Unavailable as error:
            log.info("unknown", what="streams", error=str(error))
            return None
        living = Counter(process for process, _ in left)
        counts: dict[Key, float] = {}
        for data in left.values():
            for key, value in read(data).items():
                counts[key] = max(counts.get(key, 0.0), value)
        processes = {process: living[process] for process in topology.PROCESSES}
        return _Redis(streams, processes, counts, today, top)

    async def _of_database(
        self, product_ids: Sequence[UUID]
    ) -> tuple[anchoring_status.Anchoring, Mapping[UUID, Named]] | None:
        """How anchoring stands and what products are called; None where Postgres does not answer in
        time: somebody waits for the rest.
        """
        try:
            async with (
                asyncio.timeout(DATABASE_TIMEOUT_S),
                self._wires.database.connection() as connection,
            ):
                standing = await anchoring_status.anchoring(connection)
                return standing, await stats.named(connection, product_ids)
        except (Unavailable, TimeoutError) as error:
            log.info("unknown", what="anchoring", error=str(error))
            return None


def _anchoring(found: anchoring_status.Anchoring, settings: Settings) -> Anchoring:
    last = found.last_final
    return Anchoring(
        roots_waiting=found.waiting.count,
        roots_waiting_s=round(found.waiting.age_s, 1),
        open_count=found.open_count,
        open=tuple(_anchor(anchor, settings) for anchor in found.open),
        last_final=None
        if last is None
        else LastFinal(
            last.anchor_id,
            last.batch_count,
            _hex(last.tx_hash),
            last.block_number,
            last.gas_used,
            last.final_at,
        ),
    )


def _anchor(anchor: OpenAnchor, settings: Settings) -> Anchor:
    confirmations = None
    if anchor.status == "included" and None not in (anchor.block_number, anchor.head_block):
        confirmations = max(0, (anchor.head_block or 0) - (anchor.block_number or 0) + 1)
    return Anchor(
        anchor_id=anchor.anchor_id,
        status=anchor.status,
        batch_count=anchor.batch_count,
        tx_hash=_hex(anchor.tx_hash),
        transactions=anchor.transactions,
        age_s=round(anchor.age_s, 1),
        sent_age_s=None if anchor.sent_age_s is None else round(anchor.sent_age_s, 1),
        max_fee_per_gas=anchor.max_fee_per_gas,
        gas_used=anchor.gas_used,
        block_number=anchor.block_number,
        confirmations=confirmations,
        confirmations_needed=confirmations_of(settings, anchor.chain_id),
        error=anchor.error,
    )


def _hex(value: bytes | None) -> str | None:
    return None if value is None else "0x" + value.hex()
