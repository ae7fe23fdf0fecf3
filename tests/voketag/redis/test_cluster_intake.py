"""Scans on a Redis Cluster: two round trips, and what stays true across them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.factory_floor import settings_for, until
from tests.redis_cluster import Primary, RedisCluster, redis_cluster
from voketag import events, identifiers, process
from voketag.acceptance import Accepted
from voketag.errors import Unavailable
from voketag.events import Product, Scan
from voketag.process import Wires
from voketag.redis.cluster_intake import claim_key
from voketag.redis.intake import REPLAY_WINDOW_S, Found, Limited, Outcome, Unknown, Used, replay_key

SHARDS = 4
LIMIT = 5
ADDRESS, DEVICE = "0a" * 16, "0b" * 16


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[RedisCluster]:
    async with redis_cluster(tmp_path) as running:
        yield running


@contextlib.asynccontextmanager
async def wires_on(cluster: RedisCluster, **changed: str) -> AsyncIterator[Wires]:
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    settings = settings_for(cluster.url, nowhere, SHARDS=str(SHARDS), **changed)
    async with process.open_wires(settings) as opened:
        yield opened


@pytest.fixture
async def wires(cluster: RedisCluster) -> AsyncIterator[Wires]:
    async with wires_on(cluster) as opened:
        yield opened


def a_product(shard: int) -> Product:
    batch_id = identifiers.new_id()
    product_id = next(
        found
        for number in range(1000)
        if events.shard_of(found := identifiers.product_id(batch_id, number), SHARDS) == shard
    )
    return Product(product_id, batch_id, identifiers.new_id(), "SKU", "Name", "S1")


def a_scan(product_id: UUID, *, named: bool = False, address: str = ADDRESS) -> Scan:
    now_ms = time.time_ns() // 1_000_000
    return Scan(identifiers.new_id(), product_id, now_ms, address, DEVICE, named=named)


async def accepted(wires: Wires, scan: Scan, found: Found | None = None) -> Accepted:
    outcome = await wires.intake.offer(scan, found)
    assert isinstance(outcome, Accepted)
    return outcome


async def stored(wires: Wires) -> int:
    redis = wires.streams.redis
    return sum([await redis.xlen(events.scans(shard)) for shard in range(SHARDS)])


async def test_scans_of_every_shard_are_accepted_and_counted(wires: Wires) -> None:
    now_ms = time.time_ns() // 1_000_000
    products = [a_product(shard) for shard in range(SHARDS)]
    for product in products:
        assert isinstance(await wires.intake.offer(a_scan(product.product_id)), Unknown)
        await accepted(wires, a_scan(product.product_id), Found(product))
        again = await accepted(wires, a_scan(product.product_id))
        assert (again.product, again.history.scans) == (product, 1)
    await wires.intake.recall_all(product.batch_id for product in products[1:])
    recalled = [
        (await accepted(wires, a_scan(product.product_id))).signals.recalled for product in products
    ]
    assert recalled == [False, True, True, True]
    assert await wires.intake.today(now_ms) == await stored(wires) == 3 * SHARDS
    assert await wires.intake.top(now_ms) == []  # nobody has scored them yet


async def test_an_entry_belongs_to_its_trace_and_is_else_what_it_is_without(wires: Wires) -> None:
    product = a_product(1)
    traceparent = f"00-{'1' * 32}-{'2' * 16}-01"
    await accepted(wires, a_scan(product.product_id), Found(product))
    outcome = await wires.intake.offer_traced(a_scan(product.product_id), None, traceparent)
    assert isinstance(outcome, Accepted)
    assert outcome.history.scans == 1
    entries: Any = await wires.streams.redis.xrange(events.scans(1))
    plain, traced = (dict(fields) for _, fields in entries)
    assert list(traced) == [*plain, b"traceparent"]
    assert traced[b"traceparent"] == traceparent.encode()


async def test_f4_the_same_scan_id_gives_the_same_answer_and_counts_once(wires: Wires) -> None:
    for shard in range(SHARDS):
        product = a_product(shard)
        scan = a_scan(product.product_id, named=True)
        assert await wires.intake.accepted_before(scan) is None
        first = await accepted(wires, scan, Found(product))
        await accepted(wires, a_scan(product.product_id))
        assert await accepted(wires, scan) == first
        assert await wires.intake.accepted_before(scan) == first
    assert await stored(wires) == 2 * SHARDS


async def test_f4_a_scan_id_is_used_for_one_product_only(wires: Wires) -> None:
    """Wherever that and the other product lie; also where the first was never accepted."""
    other = a_product(0)
    for shard in range(SHARDS):
        product = a_product(shard)
        scan = a_scan(product.product_id, named=True)
        assert isinstance(await wires.intake.offer(scan), Unknown)
        taken = Scan(
            scan.scan_id, other.product_id, scan.received_at_ms, ADDRESS, DEVICE, named=True
        )
        assert await wires.intake.offer(taken, Found(other)) == Used()
        await accepted(wires, scan, Found(product))
        assert await wires.intake.offer(taken, Found(other)) == Used()
    assert await stored(wires) == SHARDS


async def test_f4_what_is_stored_is_soon_forgotten(wires: Wires) -> None:
    redis = wires.streams.redis
    for shard in range(SHARDS):
        product = a_product(shard)
        scan = a_scan(product.product_id, named=True)
        await accepted(wires, scan, Found(product))
        keys = (replay_key(shard, scan.scan_id), claim_key(scan.scan_id))
        assert all([await redis.ttl(key) > REPLAY_WINDOW_S for key in keys])
        await wires.intake.forget_soon([scan, a_scan(product.product_id)])
        assert all([0 < await redis.ttl(key) <= REPLAY_WINDOW_S for key in keys])


async def test_the_limit_holds_an_address_over_all_shards(cluster: RedisCluster) -> None:
    async with wires_on(cluster, SCAN_RATE_LIMIT=str(LIMIT)) as wires:
        products = [a_product(shard) for shard in range(SHARDS)]
        scans = [a_scan(products[at % SHARDS].product_id, named=True) for at in range(LIMIT)]
        first: list[Outcome] = []
        for at, scan in enumerate(scans):
            if at < SHARDS:  # it is the same scan that comes again with its product
                assert isinstance(await wires.intake.offer(scan), Unknown)
            first.append(await accepted(wires, scan, Found(products[at % SHARDS])))
        # The last one came with its product at once, which a scan process never does.
        await accepted(wires, a_scan(products[0].product_id))
        for product in products:
            refused = await wires.intake.offer(a_scan(product.product_id))
            assert isinstance(refused, Limited)
            assert 0 < refused.retry_after_ms <= 120_000
        refused = await wires.intake.offer(a_scan(products[0].product_id, named=True))
        assert isinstance(refused, Limited)
        assert [await wires.intake.offer(scan) for scan in scans] == first
        await accepted(wires, a_scan(products[0].product_id, address="0c" * 16))


async def test_bad_tokens_are_signals_of_every_shard(wires: Wires) -> None:
    await wires.intake.note_probes({ADDRESS: 3, DEVICE: 2})
    await wires.intake.note_probes({ADDRESS: 1})
    for shard in range(SHARDS):
        product = a_product(shard)
        signals = (await accepted(wires, a_scan(product.product_id), Found(product))).signals
        assert (signals.address_bad_tokens, signals.device_bad_tokens) == (4, 2)


async def test_every_key_of_a_scan_but_the_streams_ends(cluster: RedisCluster) -> None:
    async with wires_on(cluster, SCAN_RATE_LIMIT=str(LIMIT)) as wires:
        product = a_product(0)
        await wires.intake.offer(a_scan(product.product_id))
        await wires.intake.note_probes({ADDRESS: 3})
        await accepted(wires, a_scan(product.product_id, named=True), Found(product))
    for_ever = set()
    for primary in cluster.primaries:
        async with primary.client() as client:
            for_ever |= {key async for key in client.scan_iter() if await client.ttl(key) == -1}
    assert for_ever == {events.scans(0).encode()}


async def test_f29_while_a_primary_is_away_its_shards_wait_and_the_others_go_on(
    cluster: RedisCluster, wires: Wires
) -> None:
    """Nothing that was answered is lost with it."""
    products = {shard: a_product(shard) for shard in range(SHARDS)}
    answered = 0
    for product in products.values():
        await accepted(wires, a_scan(product.product_id), Found(product))
        answered += 1
    for away in cluster.primaries:
        await away.kill()
        for shard, product in products.items():
            scan = a_scan(product.product_id)
            if cluster.of(events.scans(shard)) is away:
                with pytest.raises(Unavailable):
                    await wires.intake.offer(scan)
            else:
                # Also where the limit or the bad tokens of its address lie on the one that is away.
                await accepted(wires, scan)
                answered += 1
        with pytest.raises(Unavailable):
            await wires.intake.offer(_claimed_on(cluster, away, products))
        await away.start()
        await cluster.whole()
        for product in products.values():
            await until(lambda product=product: _is_taken(wires, product), "a scan is accepted")  # type: ignore[misc]
            answered += 1
    assert await stored(wires) == answered


async def _is_taken(wires: Wires, product: Product) -> bool:
    with contextlib.suppress(Unavailable):
        return isinstance(await wires.intake.offer(a_scan(product.product_id)), Accepted)
    return False


def _claimed_on(cluster: RedisCluster, away: Primary, products: dict[int, Product]) -> Scan:
    """A scan of a shard that is there, whose own id lies on the primary that is away."""
    shard = next(one for one in products if cluster.of(events.scans(one)) is not away)
    scans = (a_scan(products[shard].product_id, named=True) for _ in range(1000))
    return next(scan for scan in scans if cluster.of(claim_key(scan.scan_id)) is away)


async def test_scans_follow_a_slot_that_moves(cluster: RedisCluster, wires: Wires) -> None:
    product = a_product(0)
    scan = a_scan(product.product_id, named=True)
    first: Any = await accepted(wires, scan, Found(product))
    stream = events.scans(0)
    other = next(one for one in cluster.primaries if one is not cluster.of(stream))
    await cluster.move(stream, other)
    await until(lambda: _is_taken(wires, product), "a scan is accepted")
    assert await accepted(wires, scan) == first
    assert await other.command("XLEN", stream) == 2
