"""A scan service of a test's own, and a phone at its door."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import aiohttp

from producers import scan
from tests.factory_floor import settings_for, until
from voketag import identifiers, process
from voketag.http.server import listening
from voketag.process import Wires


class Phone:
    """A client of one scan service."""

    def __init__(self, session: aiohttp.ClientSession, wires: Wires, url: str) -> None:
        self.session = session
        self.wires = wires
        self.url = url

    async def scan(self, token: str, **more: Any) -> dict[str, Any]:
        """Scan, expecting an answer."""
        status, body, _ = await self.post("/v1/scans", {"token": token, **more})
        assert status == 200, body
        return body

    async def post(
        self, path: str, body: Any = None, **request: Any
    ) -> tuple[int, dict[str, Any], Any]:
        """Status, JSON body and headers of a POST."""
        if body is not None:
            request["json"] = body
        async with self.session.post(path, **request) as response:
            return response.status, await response.json(content_type=None), response.headers

    async def record(self, scan_id: str) -> dict[str, Any]:
        """The record of a scan, once it is stored."""
        found: dict[str, Any] = {}

        async def stored() -> bool:
            async with self.session.get(f"/v1/scans/{scan_id}") as response:
                found.clear()
                found.update(await response.json())
                return response.status == 200

        await until(stored, "the scan's record")
        return found


@contextlib.asynccontextmanager
async def phone_on(redis_url: str, database_url: str, **changed: str) -> AsyncIterator[Phone]:
    settings = settings_for(redis_url, database_url, **changed)
    async with (
        process.open_wires(settings, database=True, replica=True) as wires,
        scan.opened(wires) as app,
        listening(app, settings, 0) as port,
        aiohttp.ClientSession(url := f"http://127.0.0.1:{port}") as session,
    ):
        yield Phone(session, wires, url)


def scan_id_at(at_ms: int) -> str:
    """A UUIDv7 of a chosen time."""
    fresh = identifiers.new_id().int & ((1 << 80) - 1)
    return str(UUID(int=(at_ms << 80) | fresh))
