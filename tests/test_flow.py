"""The whole system as real processes, as a newcomer starts it: the main job through its HTTP API,
stops and starts, and every process and server killed while scans go on.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

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
from tests.system import System
from voketag.client import Device
from voketag.ops import instance
from voketag.stack.program import read_procfile
from voketag.stack.stack import VARIABLES
from voketag.tasks import end

PROCFILE = Path(__file__).parents[1] / "Procfile"
MANY_COUNTRIES = ("BR", "PT", "US", "JP", "DE", "AU")


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    started = System(tmp_path / "home")
    yield started
    await started.close()


# ---------------------------------------------------------------------- the main job


@pytest.mark.timeout(300)
async def test_the_main_job_and_the_starts_after_it(system: System) -> None:
    await system.start()
    assert f"admin key         {system.settings.admin_key}" in system.output
    async with system.api() as api:
        key = await join(api)
        factory = api.factory(key)
        batch_id, products = await push(factory, 200)
        token = products[0].token
        first = await api.scan.scan(token, country="BR", device=Device(install_id="a"))
        assert first.verdict == "authentic"
        assert (await recorded(system, api, first.scan_id)).verdict == "authentic"
        last = first
        for country in MANY_COUNTRIES[1:]:
            device = Device(install_id=country)
            last = await api.scan.scan(token, country=country, device=device)
        assert last.verdict == "high_risk"
        await api.scan.report("counterfeit", token=token)
        forged = await api.scan.scan(
            token[:-9] + ("00" if token[-9:-7] != "00" else "11") + token[-7:]
        )
        assert forged.verdict == "not_recognised"
        await completed(system, factory, batch_id)
        await proven(factory, products[0].product_id, system.settings.chain_url)
    await commands_find_it(system)
    demo = system.demo
    await system.end(signal.SIGTERM)
    assert not (system.home / instance.FILE).exists()
    for ending in (signal.SIGKILL, signal.SIGINT):
        await system.start()
        assert system.demo == demo
        assert system.settings.admin_key not in system.output
        async with system.api() as api:
            factory = api.factory(key)
            batch = await factory.batch(batch_id)
            assert batch.anchor is not None
            assert (batch.status, batch.anchor.status) == ("completed", "final")
            await proven(factory, products[1].product_id, system.settings.chain_url)
            assert await api.scan.scan_of_record(first.scan_id) is not None
            again = await api.scan.scan(token, country="BR", device=Device(install_id="a"))
            assert again.history is not None
            assert last.history is not None
            assert again.risk is not None
            assert again.history.scans == last.history.scans + 1
            assert "reported" in {reason.code for reason in again.risk.reasons}
            last = again
            await recorded(system, api, again.scan_id)
        await system.end(ending)


async def commands_find_it(system: System) -> None:
    """Other commands talk to the instance that runs; a second one on its data says so."""
    environ = environment(system.home)
    tail = await voketag("tail", "scored", "--from-start", "--count", "1", environ=environ)
    assert (tail.status, "verdict=" in tail.out) == (0, True)
    dead = await voketag("dead", "list", environ=environ)
    assert (dead.status, dead.out) == (0, "There are no dead letters.\n")
    assert (await voketag("migrate", environ=environ)).status == 0
    second = await voketag("run", environ=system.environ)
    assert second.status == 1
    assert "is in use by another VokeTag" in second.err
    elsewhere = {**system.environ, "VOKETAG_HOME": str(system.home.with_name("other"))}
    third = await voketag("run", environ=elsewhere)
    assert third.status == 1
    assert f"Port {system.settings.scan_port}" in third.err


# ---------------------------------------------------------------------- everything is killed once


@pytest.mark.timeout(300)
async def test_everything_is_killed_once_while_scans_go_on(system: System) -> None:
    await system.start()
    names = [program.name for program in read_procfile(PROCFILE)] + list(VARIABLES)
    async with system.api() as api:
        factory = api.factory(await join(api))
        _, products = await push(factory, 50)
        phones = Phones(api, [product.token for product in products])
        scanning = asyncio.create_task(phones.scan_for_ever())
        pushed = []
        for name in names:
            # A batch is on its way at each kill, so that every step of it is interrupted by one.
            pushed.append(await push_patiently(system, factory))
            await kill(system, name)
            await back(system, api, phones)
        await end(scanning)
        for batch_id in pushed:
            await completed(system, factory, batch_id)
            exported = [product async for product in factory.products(batch_id)]
            assert len(exported) == 20
            await proven(factory, exported[0].product_id, system.settings.chain_url)
        await all_accounted_for(system, phones)
    await system.end(signal.SIGTERM)
