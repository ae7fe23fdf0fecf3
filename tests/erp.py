"""A factory's ERP as the tests play it: the service on real servers, and a client with a key."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import aiohttp

from consumers import register
from producers import factory
from tests.factory_floor import running, settings_for, until
from voketag import identifiers, merkle, process
from voketag.http.server import listening
from voketag.process import Wires
from voketag.records import factories

SHOE: dict[str, Any] = {"sku": "SHOE-42", "name": "Running shoe"}


@dataclass(frozen=True)
class Answer:
    """What came back from a request."""

    status: int
    raw: bytes
    headers: Mapping[str, str]

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def problem(self) -> tuple[int, str]:
        """Status and code of an answer that has to be a problem."""
        assert self.headers["Content-Type"].startswith("application/problem+json"), self.raw
        assert self.body["status"] == self.status
        assert self.body["detail"]
        return self.status, self.body["code"]


class Erp:
    """The client of one factory."""

    def __init__(
        self, session: aiohttp.ClientSession, wires: Wires, factory_id: UUID, key: str
    ) -> None:
        self.session = session
        self.wires = wires
        self.factory_id = factory_id
        self.key = key

    async def call(self, method: str, path: str, body: Any = None, **headers: str | None) -> Answer:
        """Send a request: `body` as JSON, or as it is where it is bytes."""
        sent = {"Authorization": f"Bearer {self.key}"}
        if body is not None:
            sent["Content-Type"] = "application/json"
        for name, value in headers.items():
            sent.pop(name.replace("_", "-"), None)
            if value is not None:
                sent[name.replace("_", "-")] = value
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        data = None if body is None else io.BytesIO(raw)
        async with self.session.request(method, path, data=data, headers=sent) as response:
            return Answer(response.status, await response.read(), response.headers)

    async def get(self, path: str, **headers: str | None) -> Answer:
        return await self.call("GET", path, **headers)

    async def post(self, path: str, body: Any, **headers: str | None) -> Answer:
        return await self.call("POST", path, body, **headers)

    async def create(self, **fields: Any) -> UUID:
        """Make a batch, expecting that it is accepted."""
        answer = await self.post("/v1/batches", SHOE | fields)
        assert answer.status == 202, answer.body
        return UUID(answer.body["batch_id"])

    async def batch(self, batch_id: UUID) -> dict[str, Any]:
        """A batch as the service shows it."""
        answer = await self.get(f"/v1/batches/{batch_id}")
        assert answer.status == 200, answer.body
        shown: dict[str, Any] = answer.body
        return shown

    async def reaches(self, batch_id: UUID, status: str) -> dict[str, Any]:
        """Wait until a batch has a status."""

        async def reached() -> bool:
            return bool((await self.batch(batch_id))["status"] == status)

        await until(reached, f"batch {status}")
        return await self.batch(batch_id)

    async def create_stored(self, **fields: Any) -> UUID:
        """Make a batch and have its products stored."""
        async with running(self.wires, register.build(self.wires)):
            batch_id = await self.create(**fields)
            await self.reaches(batch_id, "processing")
        return batch_id


@dataclass(frozen=True)
class Service:
    """A running factory service."""

    wires: Wires
    port: int
    sessions: contextlib.AsyncExitStack

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def erp(self) -> Erp:
        """A client with a factory of its own."""
        address = f"{identifiers.new_id()}@example.com"
        async with self.wires.database.connection() as connection:
            factory_id, key = await factories.create_factory(connection, "F", address)
        session = aiohttp.ClientSession(self.url)
        return Erp(await self.sessions.enter_async_context(session), self.wires, factory_id, key)


@contextlib.asynccontextmanager
async def serving(redis_url: str, database_url: str, **changed: str) -> AsyncIterator[Service]:
    """The factory service on a free port."""
    settings = settings_for(redis_url, database_url, **changed)
    async with (
        contextlib.AsyncExitStack() as sessions,
        process.open_wires(settings, database=True, replica=True) as wires,
        factory.opened(wires) as app,
        listening(app, settings, 0) as port,
    ):
        yield Service(wires, port, sessions)


async def anchor(wires: Wires, batch_id: UUID, status: str = "included") -> bytes:
    """Bring a stored batch's root to the chain as the anchor group leaves it in the tables, beside
    another root; gives the anchored root.
    """
    async with wires.database.transaction() as connection:
        root = await connection.fetchval(
            "SELECT merkle_root FROM batches WHERE batch_id = $1", batch_id
        )
        other = merkle.keccak256(root)
        top, anchor_id = merkle.hash_pair(root, other), identifiers.new_id()
        await connection.execute(
            "INSERT INTO anchors (anchor_id, chain_id, contract, sender, nonce, root, batch_count, "
            "status, tx_hash, block_number, block_hash, anchored_at) VALUES ($1, 31337, $2, $2, "
            "(SELECT count(*) FROM anchors), $3, 2, $4, $5, 7, $6, '2026-11-01T00:00:00Z')",
            anchor_id,
            b"\x11" * 20,
            top,
            status,
            b"\x22" * 32,
            b"\x33" * 32,
        )
        await connection.execute(
            "INSERT INTO anchor_roots (batch_id, root, anchor_id, path) VALUES ($1, $2, $3, $4)",
            batch_id,
            root,
            anchor_id,
            other,
        )
        if status == "final":
            await connection.execute(
                "UPDATE batches SET status = 'completed', completed_at = now() WHERE batch_id = $1",
                batch_id,
            )
    return top


async def together(*calls: Any) -> list[Answer]:
    """Answers to requests that were sent at once."""
    return list(await asyncio.gather(*calls))
