"""The live view through its HTTP door: what it tells, and what it never does."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.factory_floor import settings_for, store_product
from voketag import events, identifiers, process, topology
from voketag.events import Assessment, Location, Product, Reason, Scan, ScoredScan
from voketag.http import sse
from voketag.http.server import listening
from voketag.ops import api, live, live_scans
from voketag.process import Wires


class Watch:
    """An open stream of events."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def block(self) -> str:
        """The next event or comment, as text."""
        return (await self.response.content.readuntil(b"\n\n")).decode()

    async def event(self) -> tuple[str, dict[str, Any]]:
        """The name of the next event, and what it tells."""
        while True:
            lines = (await self.block()).splitlines()
            data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
            if data:
                return lines[0].removeprefix("event: "), json.loads("\n".join(data))

    async def next(self, wanted: str) -> dict[str, Any]:
        """What the next event of this name tells."""
        while True:
            name, told = await self.event()
            if name == wanted:
                return told

    async def beat(self) -> dict[str, Any]:
        """The next beat."""
        return await self.next("beat")

    async def state(self) -> dict[str, Any]:
        """The next state."""
        return await self.next("state")

    async def scans(self, count: int) -> list[dict[str, Any]]:
        """The scans that are told next, at least so many."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            found += (await self.beat())["scans"]
        return found


class Ops:
    """An ops service that someone watches."""

    def __init__(self, session: aiohttp.ClientSession, wires: Wires) -> None:
        self.session = session
        self.wires = wires

    async def watch(self, expected: int = 200, query: str = "") -> Watch:
        headers = {"Authorization": f"Bearer {self.wires.settings.admin_key}"}
        response = await self.session.get(f"/v1/live?{query}", headers=headers)
        assert response.status == expected
        return Watch(response)

    async def publish(self, product: Product | None, verdict: events.Verdict) -> ScoredScan:
        scan = Scan(
            scan_id=identifiers.new_id(),
            product_id=identifiers.new_id() if product is None else product.product_id,
            received_at_ms=1_795_000_000_000,
            ip_hash="ab" * 16,
            fingerprint_hash="cd" * 16,
            country="BR",
            location=Location(-23.5, -46.6),
        )
        scored = ScoredScan(
            scan, Assessment(verdict, 30, (Reason("many_devices", 30, "x"),)), product
        )
        await self.wires.streams.publish(events.scored(0), events.encode(scored))
        return scored


@pytest.fixture
async def ops(redis_url: str, database_url: str) -> AsyncIterator[Ops]:
    settings = settings_for(redis_url, database_url)
    async with (
        process.open_wires(settings, database=True) as wires,
        api.opened(wires) as app,
        listening(app, settings, 0) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        yield Ops(session, wires)


async def test_a_beat_tells_what_was_scored_since_the_last_one(ops: Ops) -> None:
    product = await store_product(ops.wires)
    watch = await ops.watch()
    assert watch.response.content_type == "text/event-stream"
    assert watch.response.headers["Cache-Control"] == "no-store"
    assert await watch.block() == "retry: 2000\n\n"
    await watch.beat()
    assert (await watch.beat())["scans"] == []
    one = await ops.publish(product, "suspicious")
    await ops.wires.streams.publish(events.scored(0), {"v": b"1", "event": b"not a scan"})
    await ops.publish(None, "not_recognised")
    verdicts: Counter[str] = Counter()
    scans: list[dict[str, Any]] = []
    while len(scans) < 2:
        beat = await watch.beat()
        verdicts.update(beat["verdicts"])
        scans += beat["scans"]
        assert beat["looked_at"] == len(beat["scans"])
        assert beat["per_second"]["accepted"] == 0
        assert beat["per_second"]["stored"] == 0
        assert beat["latency"] is None  # no scan process has said anything
        assert beat["refusals"] is None
    assert verdicts == {"suspicious": 1, "not_recognised": 1}
    assert scans[0] == {
        "scan_id": str(one.scan.scan_id),
        "at": identifiers.rfc3339(identifiers.time_of_ms(1_795_000_000_000)),
        "verdict": "suspicious",
        "score": 30,
        "reasons": ["many_devices"],
        "country": "BR",
        "device": "cd" * 4,
        "product_id": str(product.product_id),
        "sku": product.sku,
    }
    assert len(scans) == 2
    assert (await watch.beat())["scans"] == []
    watch.response.close()


async def test_who_comes_is_told_the_last_minutes_first(ops: Ops) -> None:
    early = await ops.watch()
    for _ in range(3):
        await early.beat()
    watch = await ops.watch()
    assert (await watch.block()).startswith("retry: ")
    name, history = await watch.event()
    assert name == "history"
    assert len(history["at_s"]) >= 3
    assert {len(column) for column in history.values()} == {len(history["at_s"])}
    assert history["scored"][-1] == 0
    assert history["p99_ms"][-1] is None
    for each in (early, watch):
        each.response.close()


async def test_the_state_names_what_is_wrong(ops: Ops) -> None:
    """No process runs here, and one entry of a stream was given up."""
    await ops.wires.streams.redis.xadd("scans:{0}:dead", {"v": "1"})
    watch = await ops.watch()
    state = await watch.state()
    told = {trouble["text"]: trouble for trouble in state["troubles"]}
    assert told["1 dead letter"]["link"] == "/dead"
    assert f"{', '.join(topology.PROCESSES)}: no process is alive" in told
    assert state["processes"]["scan"] == 0
    assert {stream["stream"]: stream["dead"] for stream in state["streams"]}["scans:{0}"] == 1
    assert state["anchoring"]["open"] == []
    assert state["anchoring"]["last_final"] is None
    assert state["top_products"] == []
    watch.response.close()


async def test_a_filter_lets_through_what_was_asked_for(ops: Ops) -> None:
    product = await store_product(ops.wires)
    risky = await ops.watch(query="verdict=high_risk&country=BR")
    shoes = await ops.watch(query="text=shoe-42")
    await risky.beat()
    await shoes.beat()
    await ops.publish(product, "authentic")
    one = await ops.publish(None, "high_risk")
    found = await risky.scans(1)
    assert [scan["scan_id"] for scan in found] == [str(one.scan.scan_id)]
    assert [scan["verdict"] for scan in await shoes.scans(1)] == ["authentic"]
    for query in ("verdict=fine", "country=br", "text=" + "x" * 101):
        refused = await ops.watch(422, query=query)
        assert (await refused.response.json())["code"] == "invalid_parameter"
    for watch in (risky, shoes):
        watch.response.close()


async def test_no_address_device_or_place_leaves_with_a_beat(ops: Ops) -> None:
    watch = await ops.watch()
    await watch.beat()
    await ops.publish(None, "not_recognised")
    while not (beat := await watch.beat())["scans"]:
        pass
    told = json.dumps(beat)
    for personal in ("ab" * 4, "cd" * 5, "-23.5", "-46.6"):
        assert personal not in told
    watch.response.close()


async def test_a_flood_is_sampled(ops: Ops) -> None:
    watch = await ops.watch()
    await watch.beat()
    count = live_scans.SAMPLED_FROM_EACH * 3
    newest = [await ops.publish(None, "not_recognised") for _ in range(count)][-1]
    shown: list[str] = []
    while str(newest.scan.scan_id) not in shown:
        beat = await watch.beat()
        assert sum(beat["verdicts"].values()) <= live_scans.SAMPLED_FROM_EACH
        assert len(beat["scans"]) <= live.SHOWN_SCANS
        shown = [scan["scan_id"] for scan in beat["scans"]]
    watch.response.close()


async def test_watchers_are_limited_and_share_one_reading(
    ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "WATCHERS_MAX", 2)
    watches = [await ops.watch() for _ in range(2)]
    beats = await asyncio.gather(*(watch.beat() for watch in watches))
    assert beats[0]["at"] == beats[1]["at"]
    refused = await ops.watch(503)
    assert (await refused.response.json())["code"] == "too_many_watchers"
    for watch in watches:
        watch.response.close()


async def test_a_watcher_that_takes_nothing_is_let_go(
    ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many events wait for it and no more, and nobody else waits."""
    waited: list[int] = []

    async def stalled(_: web.Request, feed: sse.Feed, __: asyncio.Event) -> web.Response:
        while not feed.closed:
            waited.append(feed.waiting)
            await asyncio.sleep(0.05)
        return web.Response(status=204)

    monkeypatch.setattr(live, "FEED_MAX_EVENTS", 3)
    monkeypatch.setattr(sse, "stream", stalled)
    await ops.watch(204)
    assert max(waited) == 3


async def test_f9_watching_ends_when_the_process_stops(redis_url: str, database_url: str) -> None:
    settings = settings_for(redis_url, database_url)
    async with process.open_wires(settings, database=True) as wires, api.opened(wires) as app:
        async with listening(app, settings, 0) as port:
            session = aiohttp.ClientSession(f"http://127.0.0.1:{port}")
            watch = await Ops(session, wires).watch()
            await watch.beat()
        # The service has stopped although its client never left: the stream came to its end.
        assert b"event: " not in await watch.response.content.read()
        await session.close()
