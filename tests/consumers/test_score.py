"""score: the record, in order per product, written once whatever is replayed."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers import score
from tests.factory_floor import running, settings_for, until
from voketag import acceptance, events, identifiers, process
from voketag.acceptance import Accepted
from voketag.errors import Rejected
from voketag.events import Location, Product, Scan, ScoredScan, Signals
from voketag.process import Wires
from voketag.redis import dead_letters, intake
from voketag.redis.connection import Command
from voketag.redis.intake import Found
from voketag.redis.leases import owner_key
from voketag.redis.streams import Entry
from voketag.risk.history import EMPTY, History, sighting


@pytest.fixture
async def wires(redis_url: str) -> AsyncIterator[Wires]:
    """Redis alone: the database's address leads nowhere."""
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    async with process.open_wires(settings_for(redis_url, nowhere, SHARDS="2")) as opened:
        yield opened


def a_product() -> Product:
    batch_id = identifiers.new_id()
    product_id = identifiers.product_id(batch_id, 0)
    return Product(product_id, batch_id, identifiers.new_id(), "SKU", "Name", "S1")


def a_scan(product: Product, device: int = 0, country: str | None = "BR") -> Scan:
    return Scan(
        scan_id=identifiers.new_id(),
        product_id=product.product_id,
        received_at_ms=time.time_ns() // 1_000_000,
        ip_hash=f"{device:032x}",
        fingerprint_hash=f"{device:016x}{device:016x}",
        country=country,
    )


async def scored_scans(wires: Wires) -> list[ScoredScan]:
    found = []
    for shard in range(wires.settings.shards):
        entries: Any = await wires.streams.redis.xrange(events.scored(shard))
        for _, fields in entries:
            named = {name.decode(): value for name, value in fields.items()}
            found.append(events.decode(named, ScoredScan))
    return found


async def test_it_needs_redis_alone_and_keeps_the_order_of_each_product(wires: Wires) -> None:
    products = [a_product() for _ in range(5)]
    scans = [a_scan(products[number % 5], device=number) for number in range(60)]
    for scan, product in zip(scans, products * 12, strict=True):
        await wires.intake.offer(scan, Found(product))

    async def done() -> bool:
        return len(await scored_scans(wires)) == len(scans)

    async with running(wires, score.build(wires)):
        await until(done, "all scans scored")
    for product in products:
        mine = [item for item in await scored_scans(wires) if item.product == product]
        assert [item.history.scans for item in mine if item.history] == list(range(1, 13))
        assert [item.first_of_day for item in mine] == [True] + [False] * 11
        assert all(item.answered is None for item in mine), "told and record agree"
        shard = events.shard_of(product.product_id, 2)
        assert (
            await wires.streams.redis.llen(
                intake.tail_key(intake.product_tag(shard, product.product_id))
            )
            == 0
        )


async def test_what_was_told_is_kept_where_the_record_differs(wires: Wires) -> None:
    """The history had gone from Redis when the person was answered, and came back after."""
    product = a_product()
    shard = events.shard_of(product.product_id, 2)
    key = intake.history_key(intake.product_tag(shard, product.product_id))
    seen = sighting(a_scan(product))
    await wires.intake.offer(a_scan(product, device=9), Found(product))
    before = EMPTY.after(seen).after(seen)
    await wires.streams.redis.set(key, events.to_json(before))

    async def done() -> bool:
        return len(await scored_scans(wires)) == 1

    async with running(wires, score.build(wires)):
        await until(done, "the scan scored")
    (scored,) = await scored_scans(wires)
    assert scored.history is not None
    assert scored.history.scans == 3
    assert scored.answered is not None
    assert scored.answered.history is not None
    assert scored.answered.history.scans == 1


async def test_f25_one_undecodable_entry_is_buried_alone(wires: Wires) -> None:
    product = a_product()
    shard = events.shard_of(product.product_id, 2)
    stream = events.scans(shard)
    await wires.intake.offer(a_scan(product), Found(product))
    await wires.streams.publish(stream, {"v": b"1", "event": b'{"nonsense": true}'})
    await wires.intake.offer(a_scan(product))

    async def done() -> bool:
        return await wires.streams.redis.xlen(f"{stream}:dead") == 1

    async with running(wires, score.build(wires)):
        await until(done, "the bad entry buried")
    assert len(await scored_scans(wires)) == 2
    entries: Any = await wires.streams.redis.xrange(f"{stream}:dead")
    ((_, dead),) = entries
    assert dead[b"event"] == b'{"nonsense": true}'
    assert b"Rejected" in dead[b"dead_error"]
    assert (await wires.streams.redis.xpending(stream, "score"))["pending"] == 0


async def test_f26_f28_a_buried_scan_waits_for_its_score_no_longer(wires: Wires) -> None:
    """And put back, it counts once: in its product's history and in what is handed on."""
    product = a_product()
    shard = events.shard_of(product.product_id, 2)
    stream, tail = (
        events.scans(shard),
        intake.tail_key(intake.product_tag(shard, product.product_id)),
    )
    await wires.intake.offer(a_scan(product), Found(product))
    await wires.intake.offer(a_scan(product, device=1))
    redis = wires.streams.redis
    working = score.build(wires)

    async def refuse_the_first(entries: Sequence[Entry]) -> Sequence[Command]:
        if any(acceptance.decode(e.fields or {}).scan.ip_hash == "0" * 32 for e in entries):
            raise Rejected("a version of this program that cannot read it")
        return await working.handle(entries)

    async def finished() -> bool:
        return await redis.xlen(f"{stream}:dead") + len(await scored_scans(wires)) == 2

    async with running(wires, dataclasses.replace(working, handle=refuse_the_first)):
        await until(finished, "one scan scored and one buried")
    assert await redis.llen(tail) == 0
    accepted = await wires.intake.offer(a_scan(product, device=2))
    assert isinstance(accepted, Accepted)
    assert accepted.history.scans == 1
    (dead,) = await dead_letters.oldest(redis, stream, 10)
    assert await dead_letters.redrive(redis, stream, dead.entry_id)
    assert await dead_letters.redrive(redis, stream, dead.entry_id) is None

    async def done() -> bool:
        return len(await scored_scans(wires)) == 3

    async with running(wires, working):
        await until(done, "all scans scored")
    (history,) = await intake.histories(redis, shard, [product.product_id])
    assert history is not None
    assert history.scans == 3
    assert await redis.llen(tail) == 0


async def test_f13_an_overtaken_owner_writes_nothing(wires: Wires) -> None:
    product = a_product()
    stream = events.scans(events.shard_of(product.product_id, 2))
    await wires.intake.offer(a_scan(product), Found(product))
    async with process.open_wires(wires.settings) as other:
        assert await wires.streams.own(stream, "score", 60_000)
        await wires.streams.ensure_group(stream, "score")
        entries = await wires.streams.read(stream, "score", pending=False, count=10)
        commands = await score.build(wires).handle(entries)
        await wires.streams.disown(stream, "score")
        assert await other.streams.own(stream, "score", 60_000)
        with pytest.raises(Exception, match="another owner"):
            await wires.streams.complete("score", entries, commands)
        assert await scored_scans(wires) == []
        found = await other.streams.read(stream, "score", pending=True, count=10)
        assert [entry.entry_id for entry in found] == [entry.entry_id for entry in entries]
        await other.streams.complete("score", found, commands)
        await other.streams.complete("score", found, commands)  # as after a lost reply
        assert len(await scored_scans(wires)) == 1


async def test_a_handful_of_processes_share_the_shards(wires: Wires) -> None:
    product = a_product()
    async with running(wires, score.build(wires), score.build(wires)):

        async def both() -> bool:
            owners = {
                await wires.streams.redis.hget(owner_key(events.scans(shard), "score"), "boot_id")
                for shard in range(2)
            }
            return len(owners) == 2 and None not in owners

        await until(both, "one shard each")
        await asyncio.gather(
            *(wires.intake.offer(a_scan(product, n), Found(product)) for n in range(20))
        )

        async def done() -> bool:
            return len(await scored_scans(wires)) == 20

        await until(done, "all scans scored")


devices = st.integers(0, 5)
countries = st.sampled_from([None, "BR", "DE", "JP"])
places = st.none() | st.builds(Location, st.floats(-90, 90), st.floats(-180, 180))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(devices, countries, places), max_size=12), st.data())
def test_scoring_in_any_batches_gives_the_same_record(
    sightings: list[tuple[int, str | None, Location | None]], data: st.DataObject
) -> None:
    """However the stream is cut into batches, the record is that of one scan after another."""
    product = a_product()
    accepted = [
        Accepted(
            Scan(
                identifiers.new_id(),
                product.product_id,
                1,
                "00",
                f"{device:032x}",
                country,
                location,
            ),
            product,
            EMPTY,
            Signals(),
        )
        for device, country, location in sightings
    ]
    whole = score.score_in_order(0, accepted, {product.product_id: EMPTY})
    cut = data.draw(st.integers(0, len(accepted)))
    first = score.score_in_order(0, accepted[:cut], {product.product_id: EMPTY})
    between = EMPTY
    for item in accepted[:cut]:
        between = between.after(sighting(item.scan))
    stored: dict[UUID, History | None] = {product.product_id: between}
    second = score.score_in_order(0, accepted[cut:], stored)

    def published(commands: list[Any]) -> list[bytes]:
        return [command[-1] for command in commands if command[0] == "XADD"]

    assert published(whole) == published(first) + published(second)
