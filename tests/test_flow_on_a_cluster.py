"""The whole system as real processes on a Redis Cluster of three primaries: the main job, kills,
and each primary away for a while.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from tests.command import environment, voketag
from tests.flow import (
    Phones,
    all_accounted_for,
    back,
    completed,
    kill,
    proven,
    push,
    push_patiently,
    recorded,
)
from tests.redis_cluster import Primary, RedisCluster, redis_cluster
from tests.system import System
from voketag import events, identifiers, topology
from voketag.ops.client import Client, Failed
from voketag.redis.connection import connect
from voketag.redis.dead_letters import dead_stream
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


async def by_shard(system: System, api: Client, key: str) -> dict[int, str]:
    """A token of a product of each shard, and whatever else the batch holds stored."""
    _, products = await push(system, api, key, 40)
    return {
        events.shard_of(UUID(product["product_id"]), SHARDS): product["token"]
        for product in products
    }


# ---------------------------------------------------------------------- the main job


@pytest.mark.timeout(300)
async def test_the_main_job_on_a_cluster(system: System, cluster: RedisCluster) -> None:
    async with system.api() as api:
        _, key = await api.create_factory("Acme", "orders@acme.example")
        hearing = asyncio.create_task(first_notice(system, api, key))
        batch_id, products = await push(system, api, key, 40)
        assert (await hearing)["batch_id"] == batch_id
        tokens = {
            events.shard_of(UUID(product["product_id"]), SHARDS): product["token"]
            for product in products
        }
        assert set(tokens) == set(range(SHARDS))
        for token in tokens.values():
            scan_id = str(identifiers.new_id())
            first = await api.scan(token=token, scan_id=scan_id, country="BR")
            assert first["verdict"] == "authentic"
            assert (await recorded(system, api, scan_id))["verdict"] == "authentic"
            assert await api.scan(token=token, scan_id=scan_id, country="BR") == first
            assert (await api.scan(token=token, country="BR"))["history"]["scans"] == 2
            await api.report(token=token, reason="counterfeit")
        await completed(system, api, key, batch_id)
        await proven(api, key, products[0]["product_id"], system.settings.chain_url)
        await recall(api, key, batch_id)
        for token in tokens.values():
            assert (await api.scan(token=token))["verdict"] == "recalled"
        await ops_sees_it(system, api)
    await dead_letters_are_handled(system, cluster)
    await system.end(signal.SIGTERM)


async def first_notice(system: System, api: Client, key: str) -> dict[str, Any]:
    """The first notice that a factory hears."""
    url, headers = f"{api.where.factory}/v1/events", {"Authorization": f"Bearer {key}"}
    async with (
        asyncio.timeout(60),
        aiohttp.ClientSession(headers=headers) as session,
        session.get(url) as response,
    ):
        async for line in response.content:
            if line.startswith(b"data:"):
                return dict(json.loads(line.removeprefix(b"data:")))
    raise AssertionError(f"the feed ended\n{system.output[-2000:]}")


async def recall(api: Client, key: str, batch_id: str) -> None:
    url = f"{api.where.factory}/v1/batches/{batch_id}/recall"
    await api.ask("POST", url, (200, 202, 204), key=key, body={"reason": "a test"})


async def ops_sees_it(system: System, api: Client) -> None:
    """Streams, groups, statistics, metrics, and what passes by."""
    streams = (await api.streams())["streams"]
    assert {one["stream"] for one in streams} == set(events.all_streams(SHARDS))
    assert all(group["consumers"] == 1 for one in streams for group in one["groups"])
    admin = system.settings.admin_key
    _, stats = await api.ask("GET", f"{api.where.ops}/v1/stats", key=admin)
    assert json.loads(stats)

    async def measured() -> bool | None:
        _, metrics = await api.ask("GET", f"{api.where.ops}/metrics", key=admin)
        sample = r'^voketag_entries_handled_total\{.*process="(\w+)"'
        found = set(re.findall(sample, metrics.decode(), re.MULTILINE))
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
        _, key = await api.create_factory("Acme", "orders@acme.example")
        tokens = await by_shard(system, api, key)
        phones = Phones(api, list(tokens.values()))
        scanning = asyncio.create_task(phones.scan_for_ever())
        pushed = []
        for name in topology.CONSUMERS:
            pushed.append(await push_patiently(system, api, key))
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
            pushed.append(await push_patiently(system, api, key))
        await end(scanning)
        for batch_id in pushed:
            await completed(system, api, key, batch_id)
        await all_accounted_for(system, phones)
    await system.end(signal.SIGTERM)


async def the_others_go_on(
    system: System, api: Client, cluster: RedisCluster, away: Primary, tokens: dict[int, str]
) -> set[UUID]:
    """A scan of each shard that is there is accepted and stored meanwhile, and of no other; gives
    those that were accepted.
    """
    accepted = set()
    for shard, token in tokens.items():
        if cluster.of(events.scans(shard)) is away:
            with pytest.raises(Failed, match="answered 503"):
                await api.scan(token=token)
            continue
        scan_id = (await api.scan(token=token))["scan_id"]
        await recorded(system, api, scan_id)
        accepted.add(UUID(scan_id))
    assert accepted
    return accepted
