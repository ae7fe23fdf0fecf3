"""Steps through the whole system by its HTTP API, for tests with real processes."""

from __future__ import annotations

import asyncio
import contextlib
from uuid import UUID

import psutil

from tests.command import environment, voketag
from tests.system import STEP_TIMEOUT_S, System
from voketag import identifiers
from voketag.batches.answers import Batch, ProductLine
from voketag.client import ApiError, Device, FactoryClient
from voketag.ops import verify
from voketag.ops.clients import Clients
from voketag.scans.answers import ScanRecord

SCANS_AFTER_A_KILL = 5
POLL_EVERY_S = 0.05


async def join(api: Clients) -> str:
    """Make a factory; gives its key."""
    return (await api.ops.create_factory("Acme", "orders@acme.example")).api_key


async def push(factory: FactoryClient, count: int) -> tuple[UUID, list[ProductLine]]:
    """Push a batch and wait until its products are stored."""
    receipt = await factory.create_batch(
        product_count=count, sku="SHOE-42", name="Shoe", destination_countries=["BR"]
    )
    await factory.wait_for(
        receipt.batch_id, "processing", timeout_s=STEP_TIMEOUT_S, every_s=POLL_EVERY_S
    )
    products = [product async for product in factory.products(receipt.batch_id)]
    assert len(products) == count
    return receipt.batch_id, products


async def completed(system: System, factory: FactoryClient, batch_id: UUID) -> Batch:
    """The batch once its anchor is final; what is restarted meanwhile is asked again."""

    async def probe() -> Batch | None:
        batch = await factory.batch(batch_id)
        return batch if batch.status == "completed" else None

    batch = await system.until("the batch is completed", probe)
    assert isinstance(batch, Batch)
    return batch


async def recorded(system: System, api: Clients, scan_id: UUID) -> ScanRecord:
    """A scan once it is stored."""
    found = await system.until("the scan is stored", lambda: api.scan.scan_of_record(scan_id))
    assert isinstance(found, ScanRecord)
    return found


async def proven(factory: FactoryClient, product_id: str, chain_url: str) -> None:
    """A product's proof holds: by itself, on the chain, and for a contract."""
    proof = verify.read(await factory.proof_bundle(product_id))
    checks = [
        *verify.offline(proof),
        *await verify.on_chain(proof, chain_url, None),
        *await verify.by_contract(proof, chain_url),
    ]
    assert [check.text for check in checks if not check.holds] == []


class Phones:
    """Scans that go on while the system breaks: what was attempted, what was accepted."""

    def __init__(self, api: Clients, tokens: list[str]) -> None:
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
            with contextlib.suppress(ApiError):
                await self._api.scan.scan(
                    self._tokens[number % len(self._tokens)],
                    scan_id=scan_id,
                    country="BR",
                    device=Device(install_id=f"phone-{number % 7}"),
                )
                self.accepted.add(scan_id)
            await asyncio.sleep(0.02)


async def push_patiently(system: System, factory: FactoryClient) -> UUID:
    async def push_once() -> UUID | None:
        with contextlib.suppress(ApiError):
            receipt = await factory.create_batch(product_count=20, sku="HAT-1", name="Hat")
            return receipt.batch_id
        return None

    accepted = await system.until("a batch is accepted", push_once)
    assert isinstance(accepted, UUID)
    return accepted


async def kill(system: System, name: str) -> None:
    """kill -9, and wait until another process stands in its place."""
    before = system.pid(name)
    assert before is not None
    psutil.Process(before).kill()

    async def another() -> bool | None:
        return True if system.pid(name) not in (None, before) else None

    await system.until(f"{name} is started again", another)


async def back(system: System, api: Clients, phones: Phones) -> None:
    """Scans are accepted again, and every process is ready."""
    accepted = len(phones.accepted)

    async def probe() -> bool | None:
        try:
            for door in api.doors.values():
                await door.ready()
            groups = [group for stream in await api.ops.streams() for group in stream.groups]
        except ApiError:
            return None
        alive = all(group.consumers > 0 for group in groups)
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
