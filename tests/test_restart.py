"""A rolling restart of every process, and a process that is killed, while clients go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import UUID

import aiohttp
import psutil
import pytest

from tests.command import environment, voketag
from tests.flow import join, push
from tests.system import System
from voketag import identifiers
from voketag.ops.clients import Clients
from voketag.stack.program import read_procfile
from voketag.tasks import end

PROCFILE = Path(__file__).parents[1] / "Procfile"
PROGRAMS = [program.name for program in read_procfile(PROCFILE)]
AT_ONCE = 40


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    started = System(tmp_path / "home")
    await started.start()
    yield started
    await started.close()


class Load:
    """Clients that never stop and never try again: what was accepted, and what failed."""

    def __init__(self, system: System, api: Clients, key: str, token: str) -> None:
        self._where = api.where
        self._token = token
        self._factory = {"Authorization": f"Bearer {key}"}
        self._admin = {"Authorization": f"Bearer {system.settings.admin_key}"}
        self.scans: set[UUID] = set()
        self.batches: set[str] = set()
        self.others = 0
        self.failures: list[str] = []

    async def scan(self, session: aiohttp.ClientSession) -> None:
        scan_id = identifiers.new_id()
        body = {"token": self._token, "scan_id": str(scan_id), "country": "BR"}
        async with session.post(f"{self._where.scan}/v1/scans", json=body) as response:
            assert response.status == 200, await response.text()
            self.scans.add(scan_id)

    async def push(self, session: aiohttp.ClientSession) -> None:
        body = {"product_count": 5, "sku": "HAT-1", "name": "Hat"}
        url = f"{self._where.factory}/v1/batches"
        async with session.post(url, json=body, headers=self._factory) as response:
            assert response.status == 202, await response.text()
            self.batches.add((await response.json())["batch_id"])

    async def look(self, session: aiohttp.ClientSession) -> None:
        # Not a GET: aiohttp would send one again by itself where its connection was closed.
        url = f"{self._where.ops}/v1/factories"
        name = str(identifiers.new_id())
        body = {"name": name, "email": f"{name}@acme.example"}
        async with session.post(url, json=body, headers=self._admin) as response:
            assert response.status == 201, await response.text()
            self.others += 1

    async def go_on(
        self,
        request: Callable[[aiohttp.ClientSession], Awaitable[None]],
        pause_s: float,
        *,
        keep_alive: bool,
    ) -> None:
        """Make one request after the other, on one connection or each on one of its own."""
        connector = aiohttp.TCPConnector(limit=1, force_close=not keep_alive)
        async with aiohttp.ClientSession(connector=connector) as session:
            while True:
                try:
                    await request(session)
                except (aiohttp.ClientError, OSError, TimeoutError, AssertionError) as error:
                    self.failures.append(f"{request.__name__}: {error!r}")
                await asyncio.sleep(pause_s)

    def start(self) -> list[asyncio.Task[None]]:
        """Every kind of request, on connections that last and on new ones."""
        return [
            asyncio.create_task(self.go_on(request, pause_s * pace, keep_alive=keep_alive))
            for request, pause_s in ((self.scan, 0.02), (self.push, 0.3), (self.look, 0.1))
            for keep_alive in (True, False)
            for pace in (1, 5)  # some connections are idle for longer between their requests
        ]


@pytest.mark.timeout(300)
async def test_f9_no_request_fails_while_every_process_is_restarted(system: System) -> None:
    async with system.api() as api:
        load = await load_on(system, api)
        before = {name: system.pid(name) for name in PROGRAMS}
        clients = load.start()
        done = await voketag("restart", environ=environment(system.home))
        await end(*clients)
        assert (done.status, done.err) == (0, "")
        assert [line.split()[-1] for line in done.out.splitlines()[:-1]] == PROGRAMS
        assert all(system.pid(name) not in (None, before[name]) for name in PROGRAMS)
        assert load.failures == []
        assert min(len(load.scans), len(load.batches), load.others) > 10
        await stored_once(system, load)


async def load_on(system: System, api: Clients) -> Load:
    key = await join(api)
    _, (product,) = await push(api.factory(key), 1)
    return Load(system, api, key, product.token)


async def stored_once(system: System, load: Load) -> None:
    async def scans() -> bool | None:
        rows = await system.fetch("SELECT scan_id FROM scan_events")
        found = {row["scan_id"] for row in rows}
        assert len(found) == len(rows)
        return True if load.scans <= found else None

    async def batches() -> bool | None:
        rows = await system.fetch(
            "SELECT batch_id::text FROM batches JOIN products USING (batch_id) "
            "WHERE merkle_root IS NOT NULL GROUP BY batch_id HAVING count(*) = 5"
        )
        return True if load.batches <= {row["batch_id"] for row in rows} else None

    await system.until("every accepted scan is stored", scans)
    await system.until("every accepted batch is stored", batches)


@pytest.mark.timeout(300)
async def test_f9_connections_wait_while_a_killed_process_is_started_again(system: System) -> None:
    async with system.api() as api:
        load = await load_on(system, api)
        killed = psutil.Process(system.pid("scan"))
        killed.kill()
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session:
            # Its end is seen by the supervisor some time later: nobody accepts from the queue now.
            await system.until("it is gone", lambda: _gone(killed))
            await asyncio.gather(*(load.scan(session) for _ in range(AT_ONCE)))
        assert len(load.scans) == AT_ONCE
        await stored_once(system, load)


async def _gone(process: psutil.Process) -> bool | None:
    return None if process.is_running() and process.status() != psutil.STATUS_ZOMBIE else True
