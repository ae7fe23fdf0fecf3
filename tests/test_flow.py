"""The whole system as real processes, as a newcomer starts it: the main job through its HTTP API,
stops and starts, and every process and server killed while scans go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest

from tests.command import environment, voketag
from tests.system import System
from voketag import identifiers
from voketag.ops import instance, verify
from voketag.ops.client import Client, Failed
from voketag.stack.program import read_procfile
from voketag.stack.stack import VARIABLES
from voketag.tasks import end

PROCFILE = Path(__file__).parents[1] / "Procfile"
SCANS_AFTER_A_KILL = 5
MANY_COUNTRIES = ("BR", "PT", "US", "JP", "DE", "AU")


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    started = System(tmp_path / "home")
    yield started
    await started.close()


async def push(
    system: System, api: Client, key: str, count: int
) -> tuple[str, list[dict[str, Any]]]:
    """Push a batch and wait until its products are stored."""
    batch_id = await api.push_batch(
        key, product_count=count, sku="SHOE-42", name="Shoe", destination_countries=["BR"]
    )

    async def stored() -> bool | None:
        return True if (await api.batch(key, batch_id))["merkle_root"] else None

    await system.until("the batch is stored", stored)
    products = await api.products(key, batch_id)
    assert products is not None
    assert len(products) == count
    return batch_id, products


async def completed(system: System, api: Client, key: str, batch_id: str) -> dict[str, Any]:
    """The batch once its anchor is final."""

    async def probe() -> dict[str, Any] | None:
        batch = await api.batch(key, batch_id)
        return batch if batch["status"] == "completed" else None

    return dict(await system.until("the batch is completed", probe))


async def recorded(system: System, api: Client, scan_id: str) -> dict[str, Any]:
    """A scan once it is stored."""
    return dict(await system.until("the scan is stored", lambda: api.stored_scan(scan_id)))


# ---------------------------------------------------------------------- the main job


@pytest.mark.timeout(300)
async def test_the_main_job_and_the_starts_after_it(system: System) -> None:
    await system.start()
    assert f"admin key         {system.settings.admin_key}" in system.output
    async with system.api() as api:
        _, key = await api.create_factory("Acme", "orders@acme.example")
        batch_id, products = await push(system, api, key, 200)
        token = products[0]["token"]
        first = await api.scan(token=token, country="BR", device={"install_id": "a"})
        assert first["verdict"] == "authentic"
        assert (await recorded(system, api, first["scan_id"]))["verdict"] == "authentic"
        last = first
        for country in MANY_COUNTRIES[1:]:
            last = await api.scan(token=token, country=country, device={"install_id": country})
        assert last["verdict"] == "high_risk"
        await api.report(token=token, reason="counterfeit")
        forged = await api.scan(
            token=token[:-9] + ("00" if token[-9:-7] != "00" else "11") + token[-7:]
        )
        assert forged["verdict"] == "not_recognised"
        await completed(system, api, key, batch_id)
        await proven(api, key, products[0]["product_id"], system.settings.chain_url)
    await commands_find_it(system)
    demo = system.demo
    await system.end(signal.SIGTERM)
    assert not (system.home / instance.FILE).exists()
    for ending in (signal.SIGKILL, signal.SIGINT):
        await system.start()
        assert system.demo == demo
        assert system.settings.admin_key not in system.output
        async with system.api() as api:
            batch = await api.batch(key, batch_id)
            assert (batch["status"], batch["anchor"]["status"]) == ("completed", "final")
            await proven(api, key, products[1]["product_id"], system.settings.chain_url)
            assert await api.stored_scan(first["scan_id"]) is not None
            again = await api.scan(token=token, country="BR", device={"install_id": "a"})
            assert again["history"]["scans"] == last["history"]["scans"] + 1
            assert "reported" in {reason["code"] for reason in again["risk"]["reasons"]}
            last = again
            await recorded(system, api, again["scan_id"])
        await system.end(ending)


async def proven(api: Client, key: str, product_id: str, chain_url: str) -> None:
    """A product's proof holds: by itself, on the chain, and for a contract."""
    proof = verify.read(await api.proof(key, product_id))
    checks = [
        *verify.offline(proof),
        *await verify.on_chain(proof, chain_url, None),
        *await verify.by_contract(proof, chain_url),
    ]
    assert [check.text for check in checks if not check.holds] == []


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


class Phones:
    """Scans that go on while the system breaks: what was attempted, what was accepted."""

    def __init__(self, api: Client, tokens: list[str]) -> None:
        self._api = api
        self._tokens = tokens
        self.attempted: set[UUID] = set()
        self.accepted: set[UUID] = set()

    async def scan_for_ever(self) -> None:
        number = 0
        while True:
            number += 1
            scan_id = identifiers.new_id()
            self.attempted.add(scan_id)
            # What was not answered may have been accepted or not: its phone would try again.
            with contextlib.suppress(Failed):
                await self._api.scan(
                    token=self._tokens[number % len(self._tokens)],
                    scan_id=str(scan_id),
                    country="BR",
                    device={"install_id": f"phone-{number % 7}"},
                )
                self.accepted.add(scan_id)
            await asyncio.sleep(0.02)


@pytest.mark.timeout(300)
async def test_everything_is_killed_once_while_scans_go_on(system: System) -> None:
    await system.start()
    names = [program.name for program in read_procfile(PROCFILE)] + list(VARIABLES)
    async with system.api() as api:
        _, key = await api.create_factory("Acme", "orders@acme.example")
        _, products = await push(system, api, key, 50)
        phones = Phones(api, [product["token"] for product in products])
        scanning = asyncio.create_task(phones.scan_for_ever())
        pushed = []
        for name in names:
            # A batch is on its way at each kill, so that every step of it is interrupted by one.
            pushed.append(await _push_patiently(system, api, key))
            await _kill(system, name)
            await _back(system, api, phones)
        await end(scanning)
        for batch_id in pushed:
            await completed(system, api, key, batch_id)
            exported = await api.products(key, batch_id)
            assert exported is not None
            assert len(exported) == 20
            await proven(api, key, exported[0]["product_id"], system.settings.chain_url)
        await _all_accounted_for(system, phones)
    await system.end(signal.SIGTERM)


async def _push_patiently(system: System, api: Client, key: str) -> str:
    async def push_once() -> str | None:
        with contextlib.suppress(Failed):
            return await api.push_batch(key, product_count=20, sku="HAT-1", name="Hat")
        return None

    return str(await system.until("a batch is accepted", push_once))


async def _kill(system: System, name: str) -> None:
    """kill -9, and wait until another process stands in its place."""
    before = system.pid(name)
    assert before is not None
    psutil.Process(before).kill()

    async def another() -> bool | None:
        return True if system.pid(name) not in (None, before) else None

    await system.until(f"{name} is started again", another)


async def _back(system: System, api: Client, phones: Phones) -> None:
    """Scans are accepted again, and every process is ready."""
    accepted = len(phones.accepted)

    async def probe() -> bool | None:
        try:
            for where in (api.where.scan, api.where.factory, api.where.ops):
                await api.ready(where)
            groups = [
                group for stream in (await api.streams())["streams"] for group in stream["groups"]
            ]
        except Failed:
            return None
        alive = all(group["consumers"] > 0 for group in groups)
        enough = len(phones.accepted) >= accepted + SCANS_AFTER_A_KILL
        return True if alive and enough else None

    await system.until("everything is back", probe)


async def _all_accounted_for(system: System, phones: Phones) -> None:
    """Whatever was accepted is stored, once; nothing else is; the statistics say the same."""

    async def stored() -> set[UUID] | None:
        rows = await system.fetch("SELECT scan_id FROM scan_events")
        found = {row["scan_id"] for row in rows}
        assert len(found) == len(rows)
        return found if phones.accepted <= found else None

    found = await system.until("every accepted scan is stored", stored)
    assert found <= phones.attempted
    dead = await voketag("dead", "list", environ=environment(system.home))
    assert dead.out == "There are no dead letters.\n"

    async def counted() -> bool | None:
        (row,) = await system.fetch(
            "SELECT (SELECT sum(scans) FROM scan_stats_daily) AS counted, "
            "(SELECT count(*) FROM scan_events) AS stored"
        )
        return True if row["counted"] == row["stored"] else None

    await system.until("the statistics agree with the rows", counted)
