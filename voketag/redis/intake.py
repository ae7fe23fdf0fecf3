"""What Redis knows of products, and the one round trip that accepts a scan.

`intake.lua` does in one step: the caller's scan id against replays, the sliding-window limit, the
cached product, its history, the signals, the stream entry, the counters. Concurrent scans share one
pipeline, and so one fsync; each gets its own reply.

Per-product keys carry their shard's hash tag, `{n}`, and lie in the stream's slot.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from voketag import acceptance, events, identifiers
from voketag.acceptance import Accepted
from voketag.errors import Unavailable
from voketag.events import Product, Scan
from voketag.redis.connection import Command, connect, means_wait, redis_errors
from voketag.risk.history import History, sighting

PRODUCT_TTL_S = 3600
HISTORY_TTL_S = 30 * 86_400  # an older one is rebuilt from Postgres with the product
PROBES_TTL_S = 3600
REPLAY_WINDOW_S = 900  # how long Redis itself remembers a caller's scan ids; see producers.scan
PIPELINE_MAX_SCANS = 256

_SCRIPT = (Path(__file__).parent / "intake.lua").read_bytes()
_SHA1 = hashlib.sha1(_SCRIPT, usedforsecurity=False).hexdigest()


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


Outcome = Accepted | Limited | Unknown


class Intake:
    """The intake wire of one process."""

    def __init__(self, url: str, shards: int, scan_rate_limit: int) -> None:
        self._redis = connect(url)
        self._shards = shards
        self._limit = scan_rate_limit
        self._waiting: list[tuple[list[bytes | str | int], asyncio.Future[Any]]] = []
        self._flushing: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Send what waits, then close the connection."""
        if self._flushing is not None:
            await self._flushing
        await self._redis.aclose()

    async def offer(self, scan: Scan, *, remember: bool, found: Found | None = None) -> Outcome:
        """Accept a scan durably, or say why not.

        `remember` keeps a caller's own scan id, so that the same id gives the same facts again.
        Raises Unavailable where Redis does not answer: the scan may or may not be accepted then.
        """
        reply = await self._call(self._arguments(scan, remember, found))
        status = reply[0]
        if status == b"miss":
            return Unknown()
        if status == b"limited":
            return Limited(int(reply[1]))
        event, product, history, tail, signals = reply[1:]
        if status == b"replay":
            scan = events.decode_json(event, Scan)
        return acceptance.from_parts(scan, product, history, tail, signals)

    def _arguments(
        self, scan: Scan, remember: bool, found: Found | None
    ) -> list[bytes | str | int]:
        shard = events.shard_of(scan.product_id, self._shards)
        day = identifiers.time_of_ms(scan.received_at_ms).date().isoformat()
        product, history = b"", b""
        if found is not None:
            product = _cached(found.product) if found.product is not None else b"unknown"
            history = events.to_json(found.history) if found.history is not None else b""
        return [
            events.scans(shard),
            product_key(shard, scan.product_id),
            history_key(shard, scan.product_id),
            tail_key(shard, scan.product_id),
            reporters_key(shard, scan.product_id),
            recalled_key(shard),
            f"today:{{{shard}}}:{day}",
            f"top:{{{shard}}}:{day}",
            f"replay:{scan.scan_id}",
            f"limit:{scan.ip_hash}",
            probes_key(scan.ip_hash),
            probes_key(scan.fingerprint_hash),
            events.to_json(scan),
            events.to_json(sighting(scan)),
            product,
            history,
            scan.received_at_ms,
            self._limit,
            REPLAY_WINDOW_S if remember else 0,
            str(scan.product_id),
            PRODUCT_TTL_S,
            HISTORY_TTL_S,
        ]

    # ------------------------------------------------------------------ one pipeline for all

    def _call(self, arguments: list[bytes | str | int]) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((arguments, future))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        return future

    async def _flush(self) -> None:
        """Send all that waits, a pipeline at a time; what arrives meanwhile shares the next one."""
        while self._waiting:
            batch = self._waiting[:PIPELINE_MAX_SCANS]
            del self._waiting[:PIPELINE_MAX_SCANS]
            try:
                async with redis_errors():
                    replies = await self._evaluate([arguments for arguments, _ in batch])
            except Exception as error:
                replies = [error] * len(batch)
            for (_, future), reply in zip(batch, replies, strict=True):
                if future.done():
                    continue  # its caller has gone
                if isinstance(reply, Exception):
                    future.set_exception(_as_failure(reply))
                else:
                    future.set_result(reply)

    async def _evaluate(self, calls: Sequence[list[bytes | str | int]]) -> list[Any]:
        replies = await self._pipeline(calls)
        unsent = [n for n, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unsent:  # a server that was restarted; what it refused it did not run
            await self._redis.script_load(_SCRIPT.decode())
            again = await self._pipeline([calls[n] for n in unsent])
            for n, reply in zip(unsent, again, strict=True):
                replies[n] = reply
        return replies

    async def _pipeline(self, calls: Sequence[list[bytes | str | int]]) -> list[Any]:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for arguments in calls:
                pipeline.evalsha(_SHA1, 12, *arguments)
            replies: list[Any] = await pipeline.execute(raise_on_error=False)
        return replies

    # ------------------------------------------------------------------ beside the scans

    async def note_probes(self, counts: Mapping[str, int]) -> None:
        """Add to the bad tokens of the last hour, by keyed hash of address or device."""
        async with redis_errors(), self._redis.pipeline(transaction=False) as pipeline:
            for hashed, count in counts.items():
                pipeline.incrby(probes_key(hashed), count)
                pipeline.expire(probes_key(hashed), PROBES_TTL_S)
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
        shard = events.shard_of(product_id, self._shards)
        async with redis_errors():
            await self._redis.sadd(reporters_key(shard, product_id), *reporters)

    async def forget_reports(self, product_id: UUID, *reporters: str) -> None:
        """What these reported of this product turned out to be unfounded."""
        shard = events.shard_of(product_id, self._shards)
        async with redis_errors():
            await self._redis.srem(reporters_key(shard, product_id), *reporters)

    async def today(self, at_ms: int) -> int:
        """Scans accepted on the UTC day of `at_ms`."""
        day = identifiers.time_of_ms(at_ms).date().isoformat()
        keys = [f"today:{{{shard}}}:{day}" for shard in range(self._shards)]
        async with redis_errors(), self._redis.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.get(key)
            return sum(int(count or 0) for count in await pipeline.execute())

    async def top(self, at_ms: int, most: int = 10) -> list[tuple[UUID, int]]:
        """The most scanned products of the UTC day of `at_ms`, with their scans."""
        day = identifiers.time_of_ms(at_ms).date().isoformat()
        found: list[tuple[UUID, int]] = []
        async with redis_errors(), self._redis.pipeline(transaction=False) as pipeline:
            for shard in range(self._shards):
                pipeline.zrevrange(f"top:{{{shard}}}:{day}", 0, most - 1, withscores=True)
            for pairs in await pipeline.execute():
                found += [(UUID(member.decode()), int(scans)) for member, scans in pairs]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:most]


async def histories(redis: Redis, shard: int, product_ids: Sequence[UUID]) -> list[History | None]:
    """The stored histories of some products of one shard, in one round trip."""
    if not product_ids:
        return []
    async with redis_errors():
        values: list[Any] = await redis.mget(
            [history_key(shard, product_id) for product_id in product_ids]
        )
    return [events.decode_json(value, History) if value else None for value in values]


def remember(shard: int, product_id: UUID, history: History) -> Command:
    """The command that stores a history, for `Streams.complete`."""
    key = history_key(shard, product_id)
    return ("SET", key, events.to_json(history), "EX", HISTORY_TTL_S)


def forget_waiting(shard: int, scan: Scan) -> Command:
    """The command that takes a scored scan off the accepted ones that wait for their score."""
    return ("LREM", tail_key(shard, scan.product_id), 1, events.to_json(sighting(scan)))


def product_key(shard: int, product_id: UUID) -> str:
    """The cached product."""
    return f"product:{{{shard}}}:{product_id.hex}"


def history_key(shard: int, product_id: UUID) -> str:
    """The history the score group keeps."""
    return f"history:{{{shard}}}:{product_id.hex}"


def tail_key(shard: int, product_id: UUID) -> str:
    """The sightings accepted but not yet scored, oldest first."""
    return f"tail:{{{shard}}}:{product_id.hex}"


def reporters_key(shard: int, product_id: UUID) -> str:
    """The set of hashed addresses that reported the product."""
    return f"reporters:{{{shard}}}:{product_id.hex}"


def recalled_key(shard: int) -> str:
    """The set of recalled batches, held once in every shard."""
    return f"recalled:{{{shard}}}"


def probes_key(hashed: str) -> str:
    """Bad tokens of the last hour from an address or a device."""
    return f"probes:{hashed}"


def _cached(product: Product) -> bytes:
    return str(product.batch_id).encode() + events.to_json(product)


def _as_failure(error: Exception) -> Exception:
    """What one caller is told of an error in its own reply: a full server, a read-only one."""
    return Unavailable(f"redis: {error}") if means_wait(error) else error
