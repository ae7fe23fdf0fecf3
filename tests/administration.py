"""Someone with the admin key at an ops service on real servers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from tests.factory_floor import settings_for
from voketag import process
from voketag.http.openapi import SESSION_COOKIE, SESSION_HEADER
from voketag.http.server import listening
from voketag.ops import api
from voketag.process import Wires

UNKNOWN = "01890000-0000-7000-8000-000000000000"


class Admin:
    """Someone with the admin key at one ops service."""

    def __init__(self, session: aiohttp.ClientSession, wires: Wires, port: int) -> None:
        self.session = session
        self.port = port
        self.wires = wires
        self.headers = {"Authorization": f"Bearer {wires.settings.admin_key}"}

    async def ask(
        self, method: str, path: str, body: Any = None, expected: int = 200, **request: Any
    ) -> Any:
        """The JSON answer to a request, None where it has no body."""
        if body is not None:
            request["json"] = body
        request.setdefault("headers", self.headers)
        async with self.session.request(method, path, **request) as response:
            text = await response.text()
            assert response.status == expected, text
            return await response.json(content_type=None) if text else None

    async def refused(self, method: str, path: str, body: Any, status: int) -> tuple[str, str]:
        """The code and the detail of an answer that is an error."""
        answer = await self.ask(method, path, body, status)
        return answer["code"], answer["detail"]

    async def factory(self, name: str = "F", email: str = "erp@factory.example") -> Any:
        return await self.ask("POST", "/v1/factories", {"name": name, "email": email}, 201)


@contextlib.asynccontextmanager
async def admin_on(redis_url: str, database_url: str, **changed: str) -> AsyncIterator[Admin]:
    settings = settings_for(redis_url, database_url, **changed)
    async with (
        process.open_wires(settings, database=True, replica=True) as wires,
        api.opened(wires) as app,
        listening(app, settings, 0) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        yield Admin(session, wires, port)


class Operator(Admin):
    """Someone with a key of his own, or in a session, at the same service."""

    def __init__(self, admin: Admin, headers: dict[str, str]) -> None:
        super().__init__(admin.session, admin.wires, admin.port)
        self.headers = headers


async def operator(admin: Admin, role: str, name: str = "") -> tuple[Operator, str]:
    """A new operator with a key; gives the id as well."""
    body = {"name": name or f"{role} {UNKNOWN[:4]}", "role": role}
    made = await admin.ask("POST", "/v1/operators", body, 201)
    return Operator(admin, {"Authorization": f"Bearer {made['api_key']}"}), made["operator_id"]


async def signed_in(who: Admin) -> Operator:
    """Whoever it is, in a session of a browser that shows a page of ours."""
    key = who.headers["Authorization"].removeprefix("Bearer ")
    async with who.session.post("/v1/session", json={"key": key}) as response:
        assert response.status == 200, await response.text()
        token = response.cookies[SESSION_COOKIE].value
    return Operator(who, {"Cookie": f"{SESSION_COOKIE}={token}", SESSION_HEADER: "1"})
