"""Figures of processes that listen: left in Redis, served by ops, each once."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tests.administration import Admin, admin_on
from tests.factory_floor import until
from tests.servers import Servers
from voketag import metrics, topology
from voketag.figures import left_in_redis
from voketag.redis.streams import Streams


async def shown(admin: Admin, name: str) -> list[dict[str, str]]:
    """The labels of the samples of this name."""
    async with admin.session.get("/metrics") as response:
        families = text_string_to_metric_families(await response.text())
    return [
        dict(sample.labels)
        for family in families
        for sample in family.samples
        if sample.name == name
    ]


async def test_ops_serves_each_copy_once_and_itself_as_it_is(
    redis_url: str, database_url: str
) -> None:
    copies = [Streams(redis_url, boot_id) for boot_id in ("first", "second")]
    metrics.SCANS.labels("authentic").inc()

    async def boots(process: str) -> list[str]:
        labels = await shown(admin, "voketag_scans_total")
        assert all(found["process"] for found in labels)
        return sorted(
            found["boot"]
            for found in labels
            if found["process"] == process and found["verdict"] == "authentic"
        )

    async def both() -> bool:
        return await boots("scan") == ["first", "second"]

    async with admin_on(redis_url, database_url) as admin:
        own = admin.wires.streams
        async with (
            left_in_redis(copies[0], "scan"),
            left_in_redis(copies[1], "scan"),
            left_in_redis(own, "ops"),
        ):
            await until(both, "the figures of both copies")
            assert await boots("ops") == [own.boot_id]
        assert await both()  # as they were in the end
        processes = await shown(admin, "voketag_processes")
        assert {found["process"] for found in processes} == set(topology.PROCESSES)
        assert all("boot" not in found for found in processes)
    for streams in copies:
        await streams.close()


async def test_what_is_of_the_system_is_in_no_snapshot(redis_url: str, database_url: str) -> None:
    """Another copy of ops would serve it as it was when that one was last scraped."""
    async with admin_on(redis_url, database_url) as admin:
        lengths = await shown(admin, "voketag_stream_length")
        assert lengths
        assert all(set(found) == {"stream"} for found in lengths)
    assert b"voketag_stream_length" not in metrics.snapshot()


async def test_f29_figures_are_left_again_when_redis_is_back(
    redis_url: str, database_url: str, servers: Servers
) -> None:
    streams = Streams(redis_url, "patient")
    metrics.SCANS.labels("authentic").inc()

    async def served() -> bool:
        return "patient" in {found["boot"] for found in await shown(admin, "voketag_scans_total")}

    async with admin_on(redis_url, database_url) as admin, left_in_redis(streams, "scan"):
        await until(served, "its figures")
        await servers.stop("redis")
        assert not await served()
        assert await shown(admin, "voketag_processes") == []
        await servers.start("redis")
        await streams.redis.flushall()
        await until(served, "its figures once more")
    await streams.close()
