"""A whole system with several copies of its processes: each works, and all can be restarted."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.command import environment, voketag
from tests.system import System
from tests.test_restart import load_on, stored_once
from voketag.tasks import end

COPIES = {"scan": 2, "factory": 2, "ops": 2, "score": 2, "persist": 2}
ONCE = ("register", "anchor", "notify", "maintain")
PROGRAMS = [copy for name in COPIES for copy in (name, f"{name}.2")] + list(ONCE)
CONNECTIONS = 40
RESTART_S = 200.0  # fourteen processes, one after the other, under load


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    started = System(tmp_path / "home")
    formation = ",".join(f"{name}={count}" for name, count in COPIES.items())
    started.environ["VOKETAG_FORMATION"] = formation
    await started.start()
    yield started
    await started.close()


@pytest.mark.timeout(300)
async def test_every_copy_is_in_the_metrics_of_ops(system: System) -> None:
    """Each once, with what it has done itself: together that is what was asked of them."""
    async with system.api() as api:
        load = await load_on(system, api)
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session:
            await asyncio.gather(*(load.scan(session) for _ in range(CONNECTIONS)))

        async def all_counted() -> bool | None:
            scans: dict[str, float] = defaultdict(float)
            for sample in await _samples(api.where.ops):
                if sample.name == "voketag_scans_total":
                    assert sample.labels["process"] == "scan"
                    scans[sample.labels["boot"]] += sample.value
            return True if len(scans) == 2 and sum(scans.values()) == CONNECTIONS else None

        await system.until("every scan is counted once", all_counted)

        async def all_living() -> bool | None:
            living = {
                sample.labels["process"]: sample.value
                for sample in await _samples(api.where.ops)
                if sample.name == "voketag_processes"
            }
            return True if living == COPIES | dict.fromkeys(ONCE, 1) else None

        await system.until("every process is seen to live", all_living)


async def _samples(where: str) -> list[Sample]:
    async with aiohttp.ClientSession() as session, session.get(f"{where}/metrics") as response:
        families = text_string_to_metric_families(await response.text())
    return [sample for family in families for sample in family.samples]


@pytest.mark.timeout(300)
async def test_f9_copies_are_restarted_one_by_one_without_a_failed_request(system: System) -> None:
    async with system.api() as api:
        load = await load_on(system, api)
        before = {name: system.pid(name) for name in PROGRAMS}
        assert len(set(before.values()) - {None}) == len(PROGRAMS)
        clients = load.start()
        done = await voketag("restart", environ=environment(system.home), timeout_s=RESTART_S)
        await end(*clients)
        assert (done.status, done.err) == (0, "")
        assert [line.split()[-1] for line in done.out.splitlines()[:-1]] == PROGRAMS
        after = {name: system.pid(name) for name in PROGRAMS}
        assert all(after[name] not in (None, before[name]) for name in PROGRAMS)
        assert load.failures == []
        assert min(len(load.scans), len(load.batches), load.others) > 10
        await stored_once(system, load)
        await _every_copy_has_connections(system, "scan", api.where.scan)
        done = await voketag("restart", "scan", "ops.2", environ=environment(system.home))
        assert [line.split()[-1] for line in done.out.splitlines()[:-1]] == [
            *("scan", "scan.2"),
            "ops.2",
        ]
        kept = {name for name in PROGRAMS if system.pid(name) == after[name]}
        assert kept == {*PROGRAMS} - {"scan", "scan.2", "ops.2"}


async def _every_copy_has_connections(system: System, name: str, where: str) -> None:
    """Connections that come at once are spread over the copies."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        answers = await asyncio.gather(
            *(session.get(f"{where}/healthz") for _ in range(CONNECTIONS))
        )
        for copy in (name, f"{name}.2"):
            process = psutil.Process(system.pid(copy))
            port = system.settings.scan_port
            assert port in {
                one.laddr.port
                for one in process.net_connections()
                if one.status == psutil.CONN_ESTABLISHED
            }
        for answer in answers:
            answer.release()
