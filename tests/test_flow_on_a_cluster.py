"""The whole system as real processes on a Redis Cluster of three primaries: the main job, kills,
and each primary away for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from tests.command import environment, voketag
from tests.flow import (
    Phones,
    all_accounted_for,
    back,
    completed,
    join,
    kill,
    proven,
    push,
    push_patiently,
    recorded,
)
from tests.redis_cluster import Primary, RedisCluster, redis_cluster
from tests.system import System
from voketag import events, identifiers, topology
from voketag.batches.answers import BatchEvent
from voketag.client import FactoryClient, ProblemError
from voketag.client.transport import Call
from voketag.ops.clients import Clients
from voketag.redis.connection import connect
from voketag.redis.dead_letters import dead_stream
from voketag.scans.answers import ScanAnswer
from voketag.tasks import end

SHARDS = 4  # shard 3 lies on the first primary, 1 and 2 on the second, 0 on the third


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[RedisCluster]:
    async with redis_cluster(tmp_path) as running:
        yield running


@pytest.fixture
async def system(cluster: RedisCluster, tmp_path: Path) -> AsyncIterator[System]:
    variables = {"VOKETAG_REDIS_URL": cluster.url, "VOKETAG_SHARDS": str(SHARDS)}
    started = System(tmp_path / "home", variables)
    await started.start()
    yield started
    await started.close()


async def by_shard(factory: FactoryClient) -> tuple[UUID, str, dict[int, str]]:
    """A batch, a product of it, and a token of a product of each shard."""
    batch_id, products = await push(factory, 40)
    tokens = {
        events.shard_of(UUID(product.product_id), SHARDS): product.token for product in products
    }
    assert set(tokens) == set(range(SHARDS))
    return batch_id, products[0].product_id, tokens


# ---------------------------------------------------------------------- the main job


@pytest.mark.timeout(300)
async def test_the_main_job_on_a_cluster(system: System, cluster: RedisCluster) -> None:
    async with system.api() as api:
        factory = api.factory(await join(api))
        hearing = asyncio.create_task(first_event(factory))
        batch_id, product_id, tokens = await by_shard(factory)
        assert (await hearing).batch_id == batch_id
        for token in tokens.values():
            scan_id = identifiers.new_id()
            first = await api.scan.scan(token, scan_id=scan_id, country="BR")
            assert first.verdict == "authentic"
            assert (await recorded(system, api, scan_id)).verdict == "authentic"
            assert await api.scan.scan(token, scan_id=scan_id, country="BR") == first
            second = await api.scan.scan(token, country="BR")
            assert second.history is not None
            assert second.history.scans == 2
            await api.scan.report("counterfeit", token=token)
        await completed(system, factory, batch_id)
        await proven(factory, product_id, system.settings.chain_url)
        await factory.recall(batch_id, "a test")
        for token in tokens.values():
            assert (await api.scan.scan(token)).verdict == "recalled"
        await ops_sees_it(system, api)
    await dead_letters_are_handled(system, cluster)
    await system.end(signal.SIGTERM)


async def first_event(factory: FactoryClient) -> BatchEvent:
    """The first thing that a factory hears of its batches."""
    async with asyncio.timeout(60), contextlib.aclosing(factory.events()) as heard:
        event = await anext(heard)
    assert isinstance(event, BatchEvent)
    return event


async def ops_sees_it(system: System, api: Clients) -> None:
    """Streams, groups, statistics, metrics, and what passes by."""
    streams = await api.ops.streams()
    assert {one.stream for one in streams} == set(events.all_streams(SHARDS))
    assert all(group.consumers == 1 for one in streams for group in one.groups)
    assert (await api.ops.stats()).today.scans > 0

    async def measured() -> bool | None:
        metrics = await api.ops.metrics()
        sample = r'^voketag_entries_handled_total\{.*process="(\w+)"'
        found = set(re.findall(sample, metrics, re.MULTILINE))
        return True if found == {"score", "persist", "register", "anchor", "notify"} else None

    await system.until("every consumer's metrics are there", measured)
    environ = environment(system.home)
    tail = await voketag("tail", "scored", "--from-start", "--count", "3", environ=environ)
    assert (tail.status, tail.out.count("verdict=")) == (0, 3)


async def dead_letters_are_handled(system: System, cluster: RedisCluster) -> None:
    """Of a stream of each kind: what cannot be read is buried, put back, and thrown away."""
    environ = environment(system.home)
    async with connect(cluster.url) as redis:
        for stream in (events.scans(0), events.scans(3), events.ROOTS, events.NOTICES):
            await redis.xadd(stream, {"v": "9", "event": "of another time"})

            async def buried(stream: str = stream) -> bool | None:
                return True if await redis.xlen(dead_stream(redis, stream)) == 1 else None

            await system.until(f"it is buried in {stream}", buried)
            listed = await voketag("dead", "list", environ=environ)
            assert stream in listed.out
            back_again = await voketag("dead", "redrive", stream, "--all", "--yes", environ=environ)
            assert (back_again.status, "is entry" in back_again.out) == (0, True), back_again
            await system.until(f"it is buried in {stream} again", buried)
            dropped = await voketag("dead", "drop", stream, "--all", "--yes", environ=environ)
            assert (dropped.status, "dropped" in dropped.out) == (0, True), dropped
    listed = await voketag("dead", "list", environ=environ)
    assert listed.out == "There are no dead letters.\n"


# ---------------------------------------------------------------------- kills


@pytest.mark.timeout(300)
async def test_consumers_and_primaries_are_killed_while_scans_go_on(
    system: System, cluster: RedisCluster
) -> None:
    """While a primary is away, its shards wait and the others are worked on, also by a process that
    starts meanwhile. Once it is back, all that was accepted is stored, once.
    """
    async with system.api() as api:
        factory = api.factory(await join(api))
        _, _, tokens = await by_shard(factory)
        phones = Phones(api, list(tokens.values()))
        scanning = asyncio.create_task(phones.scan_for_ever())
        pushed = []
        for name in topology.CONSUMERS:
            pushed.append(await push_patiently(system, factory))
            await kill(system, name)
            await back(system, api, phones)
        for away in cluster.primaries:
            await away.kill()
            await kill(system, "score")
            unnamed = await the_others_go_on(system, api, cluster, away, tokens)
            phones.attempted |= unnamed
            phones.accepted |= unnamed
            await away.start()
            await cluster.whole()
            await back(system, api, phones)
            pushed.append(await push_patiently(system, factory))
        await end(scanning)
        for batch_id in pushed:
            await completed(system, factory, batch_id)
        await all_accounted_for(system, phones)
    await system.end(signal.SIGTERM)


async def the_others_go_on(
    system: System, api: Clients, cluster: RedisCluster, away: Primary, tokens: dict[int, str]
) -> set[UUID]:
    """A scan of each shard that is there is accepted and stored meanwhile, and of no other; gives
    those that were accepted.
    """
    accepted = set()
    for shard, token in tokens.items():
        if cluster.of(events.scans(shard)) is away:
            with pytest.raises(ProblemError, match="answered 503"):
                await api.scan.scan(token)
            continue
        # Without an id of its own: whose an id is may be known to the primary that is away.
        body = msgspec.json.encode({"token": token})
        answer = await api.scan.ask(Call("POST", "/v1/scans", repeatable=False, body=body))
        scan_id = answer.as_a(ScanAnswer).scan_id
        await recorded(system, api, scan_id)
        accepted.add(scan_id)
    assert accepted
    return accepted
