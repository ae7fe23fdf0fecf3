"""What happens now, told to everybody who watches: rates and scans once a second, how the system
stands every other, and to who comes the last minutes first.

All watchers share one reading. The counts are read while nobody watches as well, though less often,
so that the last minutes are there for who comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import msgspec
import structlog
from aiohttp import web

from voketag import events
from voketag.errors import Unavailable
from voketag.http import sse
from voketag.http.answering import RETRY_AFTER_S, STOPPING
from voketag.http.problems import Problem
from voketag.http.requests import read_query
from voketag.http.routes import Route
from voketag.identifiers import rfc3339, time_of_ms
from voketag.ops.live_rates import Latency, Now, Refusals, Watch
from voketag.ops.live_scans import LiveQuery, MixWindow, Sample, ShownScan, is_wanted, shown
from voketag.ops.live_state import States
from voketag.ops.stream_rates import Rates
from voketag.process import Wires
from voketag.tasks import end, pause

EVERY_S = 1.0
IDLE_EVERY_S = 5.0
STATE_EVERY_S = 2.0
STATE_CURRENT_S = 3 * STATE_EVERY_S
WATCHERS_MAX = 100
FEED_MAX_EVENTS = 16
SHOWN_SCANS = 20
log = structlog.get_logger()


class Beat(msgspec.Struct, frozen=True):
    """One second: what was done and how fast it was answered, the verdicts among the `looked_at`
    newest scored scans that were sampled, and the newest of those that were asked for.
    """

    at: str
    per_second: Rates
    latency: Latency | None
    refusals: Refusals | None
    looked_at: int
    verdicts: dict[str, int]
    scans: tuple[ShownScan, ...]


class Live:
    """Reads for all watchers together, and tells each what it asked for."""

    def __init__(self, wires: Wires) -> None:
        shards, redis = range(wires.settings.shards), wires.streams.redis
        scored = [events.scored(shard) for shard in shards]
        self._watch = Watch(redis, [events.scans(shard) for shard in shards], scored)
        self._sample = Sample(redis, scored)
        self._mix = MixWindow()
        self._states = States(wires)
        self._feeds: dict[sse.Feed, LiveQuery] = {}
        self._state: tuple[float, bytes] | None = None  # when it was read, and as it is sent
        self._beaten_s = 0.0
        self._closing = asyncio.Event()
        self._came = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to read."""
        self._tasks = [
            asyncio.create_task(self._again(self._beat_if_due, EVERY_S), name="beats"),
            asyncio.create_task(self._again(self._tell_state, STATE_EVERY_S), name="states"),
        ]

    async def close(self) -> None:
        """End the reading."""
        self._closing.set()
        await end(*self._tasks)

    async def get(self, request: web.Request) -> web.StreamResponse:
        """The events of GET /v1/live."""
        with self._watching(read_query(request, LiveQuery)) as feed:
            return await sse.stream(request, feed, request.app[STOPPING])

    @contextlib.contextmanager
    def _watching(self, query: LiveQuery) -> Iterator[sse.Feed]:
        if len(self._feeds) >= WATCHERS_MAX:
            raise Problem(
                503,
                "too_many_watchers",
                f"At most {WATCHERS_MAX} can watch at once.",
                {"Retry-After": str(RETRY_AFTER_S)},
            )
        feed = sse.Feed(FEED_MAX_EVENTS)
        feed.offer(sse.event(msgspec.json.encode(self._watch.history()), name="history"))
        if self._state is not None and time.monotonic() - self._state[0] < STATE_CURRENT_S:
            feed.offer(self._state[1])
        self._feeds[feed] = query
        self._came.set()
        try:
            yield feed
        finally:
            del self._feeds[feed]

    # ------------------------------------------------------------------ reading

    async def _again(self, step: Callable[[], Awaitable[None]], every_s: float) -> None:
        failing = False
        while not self._closing.is_set():
            try:
                await step()
                failing = False
            except Unavailable as error:
                if not failing:
                    log.warning("waiting", route="/v1/live", error=str(error))
                failing = True
            except Exception as error:  # whoever watches sees the next second all the same
                log.exception("bug", route="/v1/live", exc_info=error)
            await pause(every_s, self._closing)

    async def _beat_if_due(self) -> None:
        now_s = time.monotonic()
        if not self._feeds and now_s - self._beaten_s < IDLE_EVERY_S - EVERY_S / 2:
            return
        self._beaten_s = now_s
        try:
            now = await self._watch.look()
            scans = [shown(scan) for scan in await self._sample.take()]
        except Unavailable:
            self._tell(Now(time.time()), [])  # not known is news as well
            raise
        part_of = now.scored if self._sample.is_part else None
        self._mix.note(time.monotonic(), scans, part_of)
        self._tell(now, scans)

    def _tell(self, now: Now, scans: list[ShownScan]) -> None:
        """Offer a beat to every feed, with the scans that it asked for."""
        beat = Beat(
            at=rfc3339(time_of_ms(int(now.at_s * 1000))),
            per_second=now.rates,
            latency=now.latency,
            refusals=now.refusals,
            looked_at=len(scans),
            verdicts=dict(Counter(scan.verdict for scan in scans)),
            scans=(),
        )
        encoded: dict[LiveQuery, bytes] = {}
        for feed, query in list(self._feeds.items()):
            if query not in encoded:
                wanted = [scan for scan in scans if is_wanted(scan, query)]
                told = msgspec.structs.replace(beat, scans=tuple(wanted[-SHOWN_SCANS:]))
                encoded[query] = sse.event(msgspec.json.encode(told), name="beat")
            feed.offer(encoded[query])

    async def _tell_state(self) -> None:
        if not self._feeds:
            self._came.clear()
            await pause(IDLE_EVERY_S, self._came, self._closing)
        if not self._feeds:
            return
        state = await self._states.read(self._mix.mix(time.monotonic()))
        encoded = sse.event(msgspec.json.encode(state), name="state")
        self._state = (time.monotonic(), encoded)
        for feed in list(self._feeds):
            feed.offer(encoded)


def routes(live: Live) -> list[Route]:
    """The route of the live view."""
    return [
        Route(
            "GET",
            "/v1/live",
            live.get,
            "Server-Sent Events: `history` at first, a `beat` a second, the `state` every other",
            {200: "text/event-stream"},
            query=LiveQuery,
            security="viewer",
        )
    ]
