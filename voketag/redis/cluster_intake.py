"""The intake on a Redis Cluster: two round trips, since what is known of an address, a device and a
caller's scan id lies in other slots than the product's keys.

The first asks for them, at the same time: the limit, which counts the scan; the bad tokens; and who
has the scan id, which is claimed for this product. The second is the script of one Redis, which
accepts the scan and remembers the answer in one step: what a repeat is told lies in the product's
own slot here. A crash between the two leaves a claim by the same product, and no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from voketag import events
from voketag.acceptance import Accepted
from voketag.errors import Unavailable
from voketag.events import Scan
from voketag.redis import intake
from voketag.redis.cluster import Cluster
from voketag.redis.connection import redis_errors
from voketag.redis.intake import Found, Intake, Limited, Outcome, Used
from voketag.redis.shared_pipeline import Arguments, SharedPipeline
from voketag.redis.slots import is_cluster

_OWN_KEYS = 7  # of the product and its shard, the first of the script's keys
_ASKING = intake.WINDOW + (Path(__file__).parent / "asking.lua").read_bytes()
_CLAIM = b"return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'GET', 'EX', ARGV[2])"
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Known:
    """What the first round trip gave: for how many ms to wait (nothing: not at all), bad tokens."""

    wait_ms: bytes = b""
    address_bad_tokens: bytes = b"0"
    device_bad_tokens: bytes = b"0"


class ClusterIntake(Intake):
    """The intake wire of one process to a cluster."""

    def __init__(self, url: str, shards: int, scan_rate_limit: int, replicas: int = 0) -> None:
        super().__init__(url, shards, scan_rate_limit, replicas)
        assert isinstance(self._redis, Cluster)
        self._cluster = self._redis
        self._replicas = replicas
        self._pipelines: dict[tuple[int, bytes], SharedPipeline] = {}

    async def close(self) -> None:
        """Send what waits, then close the connections."""
        for pipeline in self._pipelines.values():
            await pipeline.close()
        await super().close()

    async def offer(self, scan: Scan, found: Found | None = None) -> Outcome:
        """Accept a scan durably, or say why not, as on one Redis, but for this: a repeat counts
        against the limit, and an address or a device whose primary is away has neither limit nor
        bad tokens. With `found` it is the same scan again, and not counted a second time.
        """
        return await self._offer(scan, found)

    async def offer_traced(self, scan: Scan, found: Found | None, traceparent: str) -> Outcome:
        """As `offer`; the entry carries this traceparent beside the event."""
        return await self._offer(scan, found, traceparent)

    async def _offer(self, scan: Scan, found: Found | None, *carried: str) -> Outcome:
        limit = self._limit if found is None else 0
        claimed_by, known, device = await asyncio.gather(
            self._claim(scan),
            self._ask(scan.ip_hash, scan.received_at_ms, limit),
            self._ask(scan.fingerprint_hash, scan.received_at_ms, 0),
        )
        if claimed_by is not None and claimed_by != scan.product_id.hex.encode():
            return Used()
        if known[0] and not scan.named:
            return Limited(int(known[0]))
        return await self._accept(scan, found, _Known(*known, device[1]), *carried)

    async def accepted_before(self, scan: Scan) -> Accepted | None:
        """As on one Redis; a scan of another product is not found by its id."""
        outcome = await self._accept(scan, None, _Known(), only_before=True)
        return outcome if isinstance(outcome, Accepted) else None

    async def _accept(
        self,
        scan: Scan,
        found: Found | None,
        known: _Known,
        *carried: str,
        only_before: bool = False,
    ) -> Outcome:
        arguments = self._arguments(scan, found, only_before=only_before)
        shard = events.shard_of(scan.product_id, self._shards)
        own: Arguments = [*arguments[:_OWN_KEYS], intake.replay_key(shard, scan.scan_id)]
        own += arguments[intake.KEYS :]
        own += (known.wait_ms, known.address_bad_tokens, known.device_bad_tokens, *carried)
        return intake.outcome_of(scan, await self._call(intake.SCRIPT, _OWN_KEYS + 1, own))

    async def _claim(self, scan: Scan) -> bytes | None:
        """Who has a caller's own scan id: the product that claimed it before this scan did."""
        if not scan.named:
            return None
        keeping_s = intake.REPLAY_UNSTORED_S
        arguments: Arguments = [claim_key(scan.scan_id), scan.product_id.hex, keeping_s]
        before: bytes | None = await self._call(_CLAIM, 1, arguments)
        return before

    async def _ask(self, hashed: str, now_ms: int, limit: int) -> tuple[bytes, bytes]:
        """How long an address has to wait, and the bad tokens of an address or a device. While
        their primary is away nothing is known of them, and the scans of other shards go on.
        """
        keys: Arguments = [f"limit:{{{hashed}}}", intake.probes_key(f"{{{hashed}}}")]
        try:
            wait_ms, bad_tokens = await self._call(_ASKING, 2, [*keys, now_ms, limit])
        except Unavailable:
            return b"", b"0"
        return wait_ms, bad_tokens

    async def _call(self, script: bytes, key_count: int, arguments: Arguments) -> Any:
        """Call a script where its keys lie, together with all that is called there."""
        async with redis_errors():
            server = await self._cluster.serving(str(arguments[0]))
        which = id(server), script
        pipeline = self._pipelines.get(which)
        if pipeline is None:
            replicas = self._replicas if script is intake.SCRIPT else 0
            pipeline = SharedPipeline(server, script, key_count, replicas)
            self._pipelines[which] = pipeline
        try:
            return await pipeline.call(arguments)
        except Unavailable:
            self._cluster.stale()
            raise

    # ------------------------------------------------------------------ beside the scans

    async def note_probes(self, counts: Mapping[str, int]) -> None:
        """As on one Redis; what is known of an address or a device lies in one slot."""
        await super().note_probes({f"{{{hashed}}}": count for hashed, count in counts.items()})

    async def forget_soon(self, scans: Iterable[Scan]) -> None:
        """These scans are stored: from now on Postgres knows their ids. Raises Unavailable. A claim
        whose primary is away is kept for longer.
        """
        named = [scan for scan in scans if scan.named]
        await self._expire_soon(
            intake.replay_key(events.shard_of(scan.product_id, self._shards), scan.scan_id)
            for scan in named
        )
        try:
            await self._expire_soon(claim_key(scan.scan_id) for scan in named)
        except Unavailable as error:
            log.warning("claims are kept for longer", error=str(error))

    async def _expire_soon(self, keys: Iterable[str]) -> None:
        async with redis_errors(), self._redis.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.expire(key, intake.REPLAY_WINDOW_S)
            await pipeline.execute()


def claim_key(scan_id: UUID) -> str:
    """Which product a caller's own scan id belongs to."""
    return f"claim:{scan_id}"


def open_intake(url: str, shards: int, scan_rate_limit: int, replicas: int = 0) -> Intake:
    """The intake of the Redis, or the cluster, that the URL means."""
    kind = ClusterIntake if is_cluster(url) else Intake
    return kind(url, shards, scan_rate_limit, replicas)
