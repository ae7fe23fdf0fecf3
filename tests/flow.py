"""Steps through the whole system by its HTTP API, for tests with real processes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any
from uuid import UUID

import psutil

from tests.command import environment, voketag
from tests.system import System
from voketag import identifiers
from voketag.ops import verify
from voketag.ops.client import Client, Failed

SCANS_AFTER_A_KILL = 5


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


async def proven(api: Client, key: str, product_id: str, chain_url: str) -> None:
    """A product's proof holds: by itself, on the chain, and for a contract."""
    proof = verify.read(await api.proof(key, product_id))
    checks = [
        *verify.offline(proof),
        *await verify.on_chain(proof, chain_url, None),
        *await verify.by_contract(proof, chain_url),
    ]
    assert [check.text for check in checks if not check.holds] == []


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


async def push_patiently(system: System, api: Client, key: str) -> str:
    async def push_once() -> str | None:
        with contextlib.suppress(Failed):
            return await api.push_batch(key, product_count=20, sku="HAT-1", name="Hat")
        return None

    return str(await system.until("a batch is accepted", push_once))


async def kill(system: System, name: str) -> None:
    """kill -9, and wait until another process stands in its place."""
    before = system.pid(name)
    assert before is not None
    psutil.Process(before).kill()

    async def another() -> bool | None:
        return True if system.pid(name) not in (None, before) else None

    await system.until(f"{name} is started again", another)


async def back(system: System, api: Client, phones: Phones) -> None:
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


async def all_accounted_for(system: System, phones: Phones) -> None:
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
