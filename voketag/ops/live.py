"""What happens now, once a second, for as long as somebody watches."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from uuid import UUID

import msgspec
import structlog
from aiohttp import web

from voketag import events
from voketag.errors import Rejected, Unavailable
from voketag.events import ScoredScan
from voketag.http import sse
from voketag.http.answering import RETRY_AFTER_S, STOPPING
from voketag.http.problems import Problem
from voketag.http.routes import Route
from voketag.identifiers import rfc3339, time_of_ms
from voketag.process import Wires
from voketag.redis.stream_status import Totals, newest, read_totals

EVERY_S = 1.0
WATCHERS_MAX = 100
FEED_MAX_EVENTS = 10
SAMPLED_FROM_EACH = 100
SHOWN_SCANS = 20
HASH_CHARACTERS = 8
log = structlog.get_logger()


class Rates(msgspec.Struct, frozen=True):
    """Scans a second; null where Redis cannot say, or the count began anew."""

    accepted: float | None
    scored: float | None
    stored: float | None


class ShownScan(msgspec.Struct, frozen=True):
    """A scored scan without personal data: the device is the beginning of its keyed hash."""

    scan_id: UUID
    at: str
    verdict: str
    score: int | None
    reasons: tuple[str, ...]
    country: str | None
    device: str
    product_id: UUID | None
    sku: str | None


class Beat(msgspec.Struct, frozen=True):
    """One second: rates, the verdicts among the newest scored scans that were looked at, and the
    newest of those.
    """

    at: str
    per_second: Rates
    verdicts: dict[str, int]
    scans: tuple[ShownScan, ...]


class _Counts(msgspec.Struct, frozen=True):
    at_s: float
    accepted: Totals
    scored: Totals


class Live:
    """Reads the streams once a second for all watchers together."""

    def __init__(self, wires: Wires) -> None:
        shards = range(wires.settings.shards)
        self._redis = wires.streams.redis
        self._scans = [events.scans(shard) for shard in shards]
        self._scored = [events.scored(shard) for shard in shards]
        self._feeds: set[sse.Feed] = set()
        self._reading: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._counts: _Counts | None = None
        self._seen: dict[str, tuple[int, int]] = {}

    async def get(self, request: web.Request) -> web.StreamResponse:
        """The events of GET /v1/live."""
        with self._watching() as feed:
            return await sse.stream(request, feed, request.app[STOPPING])

    async def close(self) -> None:
        """End the reading."""
        self._closing.set()
        if self._reading is not None:
            await self._reading

    @contextlib.contextmanager
    def _watching(self) -> Iterator[sse.Feed]:
        if len(self._feeds) >= WATCHERS_MAX:
            raise Problem(
                503,
                "too_many_watchers",
                f"At most {WATCHERS_MAX} can watch at once.",
                {"Retry-After": str(RETRY_AFTER_S)},
            )
        feed = sse.Feed(FEED_MAX_EVENTS)
        self._feeds.add(feed)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        try:
            yield feed
        finally:
            self._feeds.discard(feed)

    # ------------------------------------------------------------------ reading

    async def _read(self) -> None:
        self._counts, self._seen = None, {}
        while self._feeds and not self._closing.is_set():
            try:
                beat = await self._beat()
            except Unavailable as error:
                log.warning("waiting", route="/v1/live", error=str(error))
                self._counts = None
            except Exception as error:  # whoever watches sees the next second all the same
                log.exception("bug", route="/v1/live", exc_info=error)
            else:
                encoded = sse.event(msgspec.json.encode(beat), name="beat")
                for feed in list(self._feeds):
                    feed.offer(encoded)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), EVERY_S)

    async def _beat(self) -> Beat:
        counts = _Counts(
            time.monotonic(),
            await read_totals(self._redis, self._scans, "score"),
            await read_totals(self._redis, self._scored, "persist"),
        )
        before, self._counts = self._counts, counts
        fresh = await self._fresh()
        now = rfc3339(time_of_ms(time.time_ns() // 1_000_000))
        verdicts: Counter[str] = Counter(scan.assessment.verdict for scan in fresh)
        shown = tuple(_shown(scan) for scan in fresh[-SHOWN_SCANS:])
        return Beat(now, _rates(before, counts), dict(verdicts), shown)

    async def _fresh(self) -> list[ScoredScan]:
        """The newest scored scans that came since the last beat; of many, a part."""
        found = await newest(self._redis, self._scored, SAMPLED_FROM_EACH)
        fresh: list[ScoredScan] = []
        for stream, entries in found.items():
            first = stream not in self._seen  # begin with what comes from now on
            seen = self._seen.get(stream, (0, 0))
            for entry_id, fields in entries:
                ms, _, sequence = entry_id.partition("-")
                at = (int(ms), int(sequence))
                if at <= seen or first:
                    seen = max(seen, at)
                    continue
                seen = at
                with contextlib.suppress(Rejected):  # persist buries it, with the reason
                    fresh.append(events.decode(fields, ScoredScan))
            self._seen[stream] = seen
        return sorted(fresh, key=lambda scan: scan.scan.received_at_ms)


def _rates(before: _Counts | None, now: _Counts) -> Rates:
    if before is None:
        return Rates(None, None, None)
    took_s = max(now.at_s - before.at_s, 1e-3)

    def rate(earlier: int | None, later: int | None) -> float | None:
        if earlier is None or later is None or later < earlier:
            return None
        return round((later - earlier) / took_s, 1)

    return Rates(
        rate(before.accepted.added, now.accepted.added),
        rate(before.scored.added, now.scored.added),
        rate(before.scored.finished, now.scored.finished),
    )


def _shown(scored: ScoredScan) -> ShownScan:
    scan, product, assessment = scored.scan, scored.product, scored.assessment
    return ShownScan(
        scan_id=scan.scan_id,
        at=rfc3339(time_of_ms(scan.received_at_ms)),
        verdict=assessment.verdict,
        score=assessment.score,
        reasons=tuple(reason.code for reason in assessment.reasons),
        country=scan.country,
        device=scan.fingerprint_hash[:HASH_CHARACTERS],
        product_id=None if product is None else product.product_id,
        sku=None if product is None else product.sku,
    )


def routes(live: Live) -> list[Route]:
    """The route of the live view."""
    return [
        Route(
            "GET",
            "/v1/live",
            live.get,
            "Server-Sent Events: one `beat` a second",
            {200: "text/event-stream"},
            security="viewer",
        )
    ]
