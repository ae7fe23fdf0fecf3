"""The live view through its HTTP door: what it tells, and what it never does."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.factory_floor import settings_for, store_product
from voketag import events, identifiers, process
from voketag.events import Assessment, Location, Product, Reason, Scan, ScoredScan
from voketag.http.server import listening
from voketag.ops import api, live
from voketag.process import Wires


class Watch:
    """An open stream of events."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def block(self) -> str:
        """The next event or comment, as text."""
        return (await self.response.content.readuntil(b"\n\n")).decode()

    async def beat(self) -> dict[str, Any]:
        """The next beat."""
        while True:
            lines = (await self.block()).splitlines()
            if "event: beat" in lines:
                data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
                return dict(json.loads("\n".join(data)))


class Ops:
    """An ops service that someone watches."""

    def __init__(self, session: aiohttp.ClientSession, wires: Wires) -> None:
        self.session = session
        self.wires = wires

    async def watch(self, expected: int = 200) -> Watch:
        headers = {"Authorization": f"Bearer {self.wires.settings.admin_key}"}
        response = await self.session.get("/v1/live", headers=headers)
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
    await ops.publish(product, "authentic")  # before anyone watched
    watch = await ops.watch()
    assert watch.response.content_type == "text/event-stream"
    assert watch.response.headers["Cache-Control"] == "no-store"
    assert await watch.block() == "retry: 2000\n\n"
    first = await watch.beat()
    assert first["per_second"] == {"accepted": None, "scored": None, "stored": None}
    assert first["scans"] == []
    one = await ops.publish(product, "suspicious")
    await ops.wires.streams.publish(events.scored(0), {"v": b"1", "event": b"not a scan"})
    await ops.publish(None, "not_recognised")
    verdicts: Counter[str] = Counter()
    scans: list[dict[str, Any]] = []
    while len(scans) < 2:
        beat = await watch.beat()
        verdicts.update(beat["verdicts"])
        scans += beat["scans"]
        assert beat["per_second"]["accepted"] == 0
        assert beat["per_second"]["stored"] == 0
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
    count = live.SAMPLED_FROM_EACH * 3
    newest = [await ops.publish(None, "not_recognised") for _ in range(count)][-1]
    shown: list[str] = []
    while str(newest.scan.scan_id) not in shown:
        beat = await watch.beat()
        assert sum(beat["verdicts"].values()) <= live.SAMPLED_FROM_EACH
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
