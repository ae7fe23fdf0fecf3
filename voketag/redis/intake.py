"""What Redis knows of products, and the one round trip that accepts a scan.

`intake.lua` does in one step: the caller's scan id against replays, the sliding-window limit, the
cached product, its history, the signals, the stream entry, the counters.

Per-product keys carry their shard's hash tag, `{n}`, and lie in the stream's slot. On a cluster the
others are asked first: cluster_intake.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from redis.asyncio import Redis

from voketag import acceptance, events, identifiers
from voketag.acceptance import Accepted
from voketag.events import Product, Scan
from voketag.redis.connection import Command, connect, redis_errors
from voketag.redis.shared_pipeline import Arguments, SharedPipeline
from voketag.redis.top_products import top_key
from voketag.risk.history import History, sighting

PRODUCT_TTL_S = 3600
HISTORY_TTL_S = 30 * 86_400  # an older one is rebuilt from Postgres with the product
REPORTERS_TTL_S = HISTORY_TTL_S  # told again with each product that is looked up
PROBES_TTL_S = 3600
# A caller's scan id is remembered until its scan is stored, and for so long after that; see
# producers.scan. One that is never stored is remembered for longer than the id is accepted.
REPLAY_WINDOW_S = 900
REPLAY_UNSTORED_S = 8 * 86_400

KEYS = 11
WINDOW = (Path(__file__).parent / "window.lua").read_bytes()
SCRIPT = WINDOW + (Path(__file__).parent / "intake.lua").read_bytes()
_EXPIRE = "for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[1]) end"


@dataclass(frozen=True, slots=True)
class Limited:
    """The address has used up its scans; `retry_after_ms` until one more fits."""

    retry_after_ms: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """The product is not in the cache: look it up, then offer the scan again with it."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a look-up in Postgres gave: None where no batch holds the product."""

    product: Product | None
    history: History | None = None


@dataclass(frozen=True, slots=True)
class Used:
    """The caller's scan id was given to a scan of another product before. Only a cluster says so by
    this; one Redis gives what that scan was accepted with.
    """


Outcome = Accepted | Limited | Unknown | Used


class Intake:
    """The intake wire of one process."""

    def __init__(self, url: str, shards: int, scan_rate_limit: int, replicas: int = 0) -> None:
        self._redis = connect(url)
        self._shards = shards
        self._limit = scan_rate_limit
        self._expire = self._redis.register_script(_EXPIRE)
        self._scans = SharedPipeline(self._redis, SCRIPT, KEYS, replicas)

    async def close(self) -> None:
        """Send what waits, then close the connection."""
        await self._scans.close()
        await self._redis.aclose()

    async def offer(self, scan: Scan, found: Found | None = None) -> Outcome:
        """Accept a scan durably, or say why not.

        A caller's own scan id is remembered, so that the same id gives the same facts again.
        Raises Unavailable where Redis does not answer, or too few replicas do: the scan may or may
        not be accepted then. Raises Overloaded where too many scans wait.
        """
        return outcome_of(scan, await self._scans.call(self._arguments(scan, found)))

    async def offer_traced(self, scan: Scan, found: Found | None, traceparent: str) -> Outcome:
        """As `offer`; the entry carries this traceparent beside the event."""
        arguments = [*self._arguments(scan, found), b"", b"", b"", traceparent]
        return outcome_of(scan, await self._scans.call(arguments))

    async def accepted_before(self, scan: Scan) -> Accepted | None:
        """What a scan with a caller's own id was accepted with; None where it was not, as far as
        Redis remembers. Nothing is accepted by this. Raises as `offer` does.
        """
        outcome = outcome_of(scan, await self._scans.call(self._arguments(scan, only_before=True)))
        return outcome if isinstance(outcome, Accepted) else None

    def _arguments(
        self, scan: Scan, found: Found | None = None, *, only_before: bool = False
    ) -> Arguments:
        shard = events.shard_of(scan.product_id, self._shards)
        day = identifiers.day_of_ms(scan.received_at_ms)
        of_product = product_tag(shard, scan.product_id)
        product, history = b"", b""
        if found is not None:
            product = _cached(found.product) if found.product is not None else b"unknown"
            history = events.to_json(found.history) if found.history is not None else b""
        return [
            events.scans(shard),
            product_key(of_product),
            history_key(of_product),
            tail_key(of_product),
            reporters_key(of_product),
            recalled_key(shard),
            f"today:{{{shard}}}:{day}",
            self._replay_key(scan.scan_id) if scan.named else "replay:",
            f"limit:{scan.ip_hash}",
            probes_key(scan.ip_hash),
            probes_key(scan.fingerprint_hash),
            events.to_json(scan),
            events.to_json(sighting(scan)),
            product,
            history,
            scan.received_at_ms,
            self._limit,
            REPLAY_UNSTORED_S if scan.named else 0,
            PRODUCT_TTL_S,
            HISTORY_TTL_S,
            int(only_before),
        ]

    # ------------------------------------------------------------------ beside the scans

    async def note_probes(self, counts: Mapping[str, int]) -> None:
        """Add to the bad tokens of the last hour, by keyed hash of address or device."""
        async with redis_errors(), self._redis.pipeline(transaction=False) as pipeline:
            for hashed, count in counts.items():
                pipeline.incrby(probes_key(hashed), count)
                pipeline.expire(probes_key(hashed), PROBES_TTL_S)
            await pipeline.execute()

    async def forget_soon(self, scans: Iterable[Scan]) -> None:
        """These scans are stored: from now on Postgres knows their ids. Raises Unavailable."""
        keys: dict[int, list[str]] = defaultdict(list)
        for scan in scans:
            if scan.named:
                shard = events.shard_of(scan.scan_id, self._shards)
                keys[shard].append(replay_key(shard, scan.scan_id))
        if not keys:
            return
        async with redis_errors(), self._redis.pipeline(transaction=False) as pipeline:
            for shard_keys in keys.values():
                await self._expire(shard_keys, [REPLAY_WINDOW_S], client=pipeline)
            await pipeline.execute()

    async def recall(self, batch_id: UUID) -> None:
        """Scans of this batch's products say so from now on."""
        await self.recall_all([batch_id])

    async def recall_all(self, batch_ids: Iterable[UUID]) -> None:
        """Recall these batches on every shard; what is recalled already stays so."""
        members = [str(batch_id) for batch_id in batch_ids]
        if not members:
            return
        async with redis_errors(), self._redis.pipeline(transaction=False) as pipeline:
            for shard in range(self._shards):
                pipeline.sadd(recalled_key(shard), *members)
            await pipeline.execute()

    async def report(self, product_id: UUID, *reporters: str) -> None:
        """Count keyed hashes of addresses that reported this product, each once."""
        key = reporters_key(self._tag(product_id))
        async with redis_errors(), self._redis.pipeline(transaction=True) as pipeline:
            pipeline.sadd(key, *reporters)
            pipeline.expire(key, REPORTERS_TTL_S)
            await pipeline.execute()

    async def forget_reports(self, product_id: UUID, *reporters: str) -> None:
        """What these reported of this product turned out to be unfounded."""
        async with redis_errors():
            await self._redis.srem(reporters_key(self._tag(product_id)), *reporters)

    async def today(self, at_ms: int) -> int:
        """Scans accepted on the UTC day of `at_ms`."""
        day = identifiers.day_of_ms(at_ms)
        keys = [f"today:{{{shard}}}:{day}" for shard in range(self._shards)]
        async with redis_errors(), self._redis.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.get(key)
            return sum(int(count or 0) for count in await pipeline.execute())

    async def top(self, at_ms: int, most: int = 10) -> list[tuple[UUID, int]]:
        """The most scanned products of the UTC day of `at_ms`, with their scans."""
        day = identifiers.day_of_ms(at_ms)
        found: list[tuple[UUID, int]] = []
        async with redis_errors(), self._redis.pipeline(transaction=False) as pipeline:
            for shard in range(self._shards):
                pipeline.zrevrange(top_key(shard, day), 0, most - 1, withscores=True)
            for pairs in await pipeline.execute():
                found += [(UUID(member.decode()), int(scans)) for member, scans in pairs]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:most]

    def _tag(self, product_id: UUID) -> str:
        return product_tag(events.shard_of(product_id, self._shards), product_id)

    def _replay_key(self, scan_id: UUID) -> str:
        return replay_key(events.shard_of(scan_id, self._shards), scan_id)


def outcome_of(scan: Scan, reply: Any) -> Outcome:
    """What the script said of a scan."""
    match reply[0]:
        case b"accepted":
            return acceptance.from_parts(scan, *reply[1:])
        case b"replay":
            return acceptance.from_parts(events.decode_json(reply[1], Scan), *reply[2:])
        case b"limited":
            return Limited(int(reply[1]))
    return Unknown()


async def histories(redis: Redis, shard: int, product_ids: Sequence[UUID]) -> list[History | None]:
    """The stored histories of some products of one shard, in one round trip."""
    if not product_ids:
        return []
    async with redis_errors():
        values: list[Any] = await redis.mget(
            [history_key(product_tag(shard, product_id)) for product_id in product_ids]
        )
    return [events.decode_json(value, History) if value else None for value in values]


def remember(shard: int, product_id: UUID, history: History) -> Command:
    """The command that stores a history, for `Streams.complete`."""
    key = history_key(product_tag(shard, product_id))
    return ("SET", key, events.to_json(history), "EX", HISTORY_TTL_S)


def forget_waiting(shard: int, scan: Scan) -> Command:
    """The command that takes a scored scan off the accepted ones that wait for their score."""
    key = tail_key(product_tag(shard, scan.product_id))
    return ("LREM", key, 1, events.to_json(sighting(scan)))


def product_tag(shard: int, product_id: UUID) -> str:
    """What the keys of a product end with."""
    return f"{{{shard}}}:{product_id.hex}"


def product_key(tag: str) -> str:
    """The cached product."""
    return f"product:{tag}"


def history_key(tag: str) -> str:
    """The history the score group keeps."""
    return f"history:{tag}"


def tail_key(tag: str) -> str:
    """The sightings accepted but not yet scored, oldest first."""
    return f"tail:{tag}"


def reporters_key(tag: str) -> str:
    """The set of hashed addresses that reported the product."""
    return f"reporters:{tag}"


def recalled_key(shard: int) -> str:
    """The set of recalled batches, held once in every shard."""
    return f"recalled:{{{shard}}}"


def replay_key(shard: int, scan_id: UUID) -> str:
    """What a scan with a caller's own id was accepted with; `shard` is that of the scan id, on
    a cluster that of the product.
    """
    return f"replay:{{{shard}}}:{scan_id}"


def probes_key(hashed: str) -> str:
    """Bad tokens of the last hour from an address or a device."""
    return f"probes:{hashed}"


def _cached(product: Product) -> bytes:
    return str(product.batch_id).encode() + events.to_json(product)
