"""Every route of every process, asked by everybody there is: who gets in, and who is told what.

The routes are read from the running processes. One that is not in TABLE fails, so that nobody adds
a route without saying whose it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web

from producers import factory, scan
from tests.erp import SHOE, Erp, anchor
from tests.factory_floor import settings_for, token_of
from voketag import identifiers, keys, process
from voketag.http.server import listening
from voketag.ops import api, pages
from voketag.process import Wires
from voketag.records import factories

NEW = "(new)"
ANYBODY, FACTORY = "anybody", "factory"
VIEWER, ANALYST, ADMIN = OPERATORS = ("viewer", "analyst", "admin")
# Who asks: without a key, with each kind of factory's key, with each kind of operator's key, with
# the admin key, and each operator in a session.
SESSIONS = tuple(f"{role} in a session" for role in OPERATORS)
FORMER = ("former operator", "former operator in a session")
ROLES = (
    "nobody",
    "wrong",
    "revoked",
    "expired",
    "owner",
    "stranger",
    *FORMER,
    *OPERATORS,
    *SESSIONS,
    "admin key",
)


@dataclass(frozen=True)
class Line:
    """What is said of a route: whose it is, what is asked, and the status for those who may."""

    whose: str
    status: int = 200
    of: str = ""  # the object whose id stands in the path
    body: Any = None
    documented: bool = True  # for programs, in the OpenAPI document


PAGE = Line(ANYBODY, documented=False)
EVERYWHERE = {
    ("GET", "/healthz"): Line(ANYBODY),
    ("GET", "/readyz"): Line(ANYBODY),
    ("GET", "/metrics"): Line(ANYBODY),
    ("GET", "/openapi.json"): Line(ANYBODY),
    ("GET", "/docs"): PAGE,
    ("GET", "/docs/page.css"): PAGE,
    ("GET", "/docs/start.js"): PAGE,
    ("GET", "/docs/swagger-ui.css"): PAGE,
    ("GET", "/docs/swagger-ui-bundle.js"): PAGE,
}
TABLE: Mapping[str, Mapping[tuple[str, str], Line]] = {
    "scan": {
        **EVERYWHERE,
        ("POST", "/v1/scans"): Line(ANYBODY, body={"token": "NONE"}),
        ("GET", "/v1/scans/{id}"): Line(ANYBODY, 404, "nothing"),
        ("POST", "/v1/reports"): Line(ANYBODY, 404, body={"token": "NONE", "reason": "other"}),
        ("GET", "/r/{token}"): Line(ANYBODY, of="token"),
        ("POST", "/r/{token}"): Line(ANYBODY, 415, of="token", body={}, documented=False),
        ("GET", "/verify"): Line(ANYBODY, documented=False),
        ("GET", "/icon.svg"): Line(ANYBODY, documented=False),
        ("GET", "/icon-192.png"): Line(ANYBODY, documented=False),
        ("GET", "/manifest.webmanifest"): Line(ANYBODY, documented=False),
        ("GET", "/robots.txt"): Line(ANYBODY, documented=False),
    },
    "factory": {
        **EVERYWHERE,
        ("POST", "/v1/batches"): Line(FACTORY, 202, body=SHOE | {"product_count": 1}),
        ("GET", "/v1/batches"): Line(FACTORY),
        ("GET", "/v1/batches/{id}"): Line(FACTORY, of="batch"),
        ("GET", "/v1/batches/{id}/products"): Line(FACTORY, of="batch"),
        ("POST", "/v1/batches/{id}/recall"): Line(FACTORY, of="batch", body={"reason": "Glue"}),
        ("GET", "/v1/products/{id}/proof"): Line(FACTORY, of="product"),
        ("GET", "/v1/events"): Line(FACTORY),
    },
    "ops": {
        **EVERYWHERE,
        ("GET", "/asyncapi.json"): PAGE,
        **{("GET", path): PAGE for path in pages.PAGES},
        **{("GET", pages.PREFIX + file.name): PAGE for file in pages.files()},
        ("GET", pages.CENTRES): PAGE,
        ("POST", "/v1/session"): Line(ANYBODY, 401, body={"key": "none"}),
        ("GET", "/v1/session"): Line(VIEWER),
        ("POST", "/v1/operators"): Line(ADMIN, 201, body={"name": NEW, "role": "viewer"}),
        ("GET", "/v1/operators"): Line(ADMIN),
        ("DELETE", "/v1/operators/{id}"): Line(ADMIN, 204, "operator"),
        ("GET", "/v1/audit"): Line(ADMIN),
        ("POST", "/v1/factories"): Line(ADMIN, 201, body={"name": "G", "email": NEW}),
        ("GET", "/v1/factories"): Line(VIEWER),
        ("GET", "/v1/factories/{id}"): Line(VIEWER, of="factory"),
        ("POST", "/v1/factories/{id}/keys"): Line(ADMIN, 201, "factory", {}),
        ("DELETE", "/v1/keys/{id}"): Line(ADMIN, 204, "key"),
        ("GET", "/v1/reports"): Line(ANALYST),
        ("GET", "/v1/reports/{id}"): Line(ANALYST, of="report"),
        ("PATCH", "/v1/reports/{id}"): Line(ANALYST, of="report", body={"status": "confirmed"}),
        ("GET", "/v1/batches"): Line(VIEWER),
        ("GET", "/v1/batches/{id}"): Line(VIEWER, of="batch"),
        ("POST", "/v1/batches/{id}/recall"): Line(ADMIN, of="batch", body={"reason": "Glue"}),
        ("GET", "/v1/products"): Line(VIEWER, 422),
        ("GET", "/v1/products/{id}"): Line(VIEWER, of="product"),
        ("GET", "/v1/products/{id}/scans"): Line(VIEWER, of="product"),
        ("GET", "/v1/products/{id}/proof"): Line(VIEWER, of="product"),
        ("GET", "/v1/stats/daily"): Line(VIEWER),
        ("GET", "/v1/stats/daily.csv"): Line(VIEWER),
        ("GET", "/v1/streams"): Line(VIEWER),
        ("GET", "/v1/stats"): Line(VIEWER),
        ("GET", "/v1/live"): Line(VIEWER),
        ("GET", "/v1/dead"): Line(VIEWER),
        ("GET", "/v1/dead/{stream}/{entry_id}"): Line(ANALYST, 404),
        ("POST", "/v1/dead/{stream}/redrive"): Line(ADMIN, body={"all": True}),
        ("POST", "/v1/dead/{stream}/drop"): Line(ADMIN, body={"all": True}),
        # Last: whoever asks is signed out.
        ("DELETE", "/v1/session"): Line(ANYBODY, 204),
    },
}


@dataclass(frozen=True)
class World:
    """The three processes on one database, the keys of every role, and things to ask for."""

    wires: Wires
    apps: Mapping[str, web.Application]
    sessions: Mapping[str, aiohttp.ClientSession]
    keys: Mapping[str, str | None]
    objects: Mapping[str, str]

    async def ask(
        self, where: str, method: str, path: str, line: Line, role: str
    ) -> tuple[int, str]:
        """Status of the answer, and its text where it has an end."""
        key = self.keys[role]
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if role.endswith(" in a session"):
            headers = {"Cookie": f"voketag_session={key}", "X-VokeTag-Session": "1"}
        body = line.body
        if isinstance(body, dict):  # names that are nobody's yet
            fresh = f"{identifiers.new_text()}@new.example"
            body = {name: fresh if value == NEW else value for name, value in body.items()}
        place = path.replace("{id}", self.objects[line.of]) if line.of else path
        place = place.replace("{token}", self.objects["token"])
        place = place.replace("{stream}", "roots").replace("{entry_id}", "1-1")
        session = self.sessions[where]
        async with session.request(method, place, json=body, headers=headers) as response:
            if response.content_type == "text/event-stream":
                return response.status, ""
            return response.status, (await response.read()).decode(errors="replace")


@contextlib.asynccontextmanager
async def opened(redis_url: str, database_url: str) -> AsyncIterator[World]:
    settings = settings_for(redis_url, database_url)
    async with contextlib.AsyncExitStack() as stack:
        wires = await stack.enter_async_context(process.open_wires(settings, database=True))
        apps, sessions = {}, {}
        for name, module in (("scan", scan), ("factory", factory), ("ops", api)):
            apps[name] = await stack.enter_async_context(module.opened(wires))
            port = await stack.enter_async_context(listening(apps[name], settings, 0))
            session = aiohttp.ClientSession(f"http://127.0.0.1:{port}")
            sessions[name] = await stack.enter_async_context(session)
        held, objects = await populate(wires, sessions)
        yield World(wires, apps, sessions, held, objects)


async def populate(
    wires: Wires, sessions: Mapping[str, aiohttp.ClientSession]
) -> tuple[dict[str, str | None], dict[str, str]]:
    """Two factories with keys of every kind, and something of each kind that the first one owns."""
    now = datetime.now(UTC)
    async with wires.database.connection() as connection:
        factory_id, owner = await factories.create_factory(connection, "A", "a@a.example")
        _, stranger = await factories.create_factory(connection, "B", "b@b.example")
        revoked = await factories.add_key(connection, factory_id)
        expired = await factories.add_key(connection, factory_id, now - timedelta(seconds=1))
        spare = await factories.add_key(connection, factory_id)
        assert revoked
        assert expired
        assert spare
        await factories.revoke_key(connection, revoked[0])
    erp = Erp(sessions["factory"], wires, factory_id, owner)
    batch_id = await erp.create_stored(product_count=2)
    await anchor(wires, batch_id, "final")  # kept in the cache from when it is first shown
    product_id = identifiers.product_id(batch_id, 0)
    token = token_of(wires, product_id)
    report = {"token": token, "reason": "other"}
    async with sessions["scan"].post("/v1/reports", json=report) as response:
        report_id = (await response.json())["report_id"]
    operators, spare_operator = await people(wires, sessions["ops"])
    held = {
        **operators,
        "nobody": None,
        "wrong": keys.mint(),
        "revoked": revoked[1],
        "expired": expired[1],
        "owner": owner,
        "stranger": stranger,
        "admin key": wires.settings.admin_key,
    }
    objects: dict[str, str | UUID] = {
        "batch": batch_id,
        "product": product_id,
        "factory": factory_id,
        "key": spare[0],
        "operator": spare_operator,
        "report": report_id,
        "token": token,
        "nothing": identifiers.new_id(),
    }
    return held, {name: str(value) for name, value in objects.items()}


async def people(wires: Wires, session: aiohttp.ClientSession) -> tuple[dict[str, str | None], str]:
    """Keys and sessions of an operator of each role, and of one who is revoked; and whom to revoke
    at will.
    """
    admin = {"Authorization": f"Bearer {wires.settings.admin_key}"}

    async def create(name: str, role: str) -> tuple[str, str]:
        body = {"name": name, "role": role}
        async with session.post("/v1/operators", json=body, headers=admin) as response:
            made = await response.json()
            return made["operator_id"], made["api_key"]

    held: dict[str, str | None] = {}
    for name in (*OPERATORS, "former operator"):
        operator_id, key = await create(f"the {name}", name if name in OPERATORS else "admin")
        async with session.post("/v1/session", json={"key": key}) as response:
            token = response.cookies["voketag_session"].value
        held |= {name: key, f"{name} in a session": token}
        session.cookie_jar.clear()
    async with session.delete(f"/v1/operators/{operator_id}", headers=admin) as response:
        assert response.status == 204
    return held, (await create("a spare one", "viewer"))[0]


def expected(line: Line, role: str) -> int:
    """The status that a role is answered with."""
    if line.whose == ANYBODY:
        return line.status
    if line.whose in OPERATORS:
        held = "admin" if role == "admin key" else role.removesuffix(" in a session")
        if held not in OPERATORS:
            return 401
        return line.status if OPERATORS.index(held) >= OPERATORS.index(line.whose) else 403
    if role not in ("owner", "stranger"):
        return 401
    return 404 if role == "stranger" and line.of else line.status


def routes_of(app: web.Application) -> set[tuple[str, str]]:
    """Every method and path a process answers, however it was added; HEAD goes with GET."""
    found = set()
    for route in app.router.routes():
        assert route.resource is not None
        found.add((route.method.replace("HEAD", "GET"), route.resource.canonical))
    return found


@pytest.mark.timeout(240)
async def test_every_route_lets_in_whom_it_should_and_nobody_else(
    redis_url: str, database_url: str
) -> None:
    wrong = []
    async with opened(redis_url, database_url) as world:
        for where, table in TABLE.items():
            assert routes_of(world.apps[where]) == set(table), where
            for (method, path), line in table.items():
                for role in ROLES:
                    status, text = await world.ask(where, method, path, line, role)
                    if status != expected(line, role):
                        wrong.append((where, method, path, role, status, text))
                    # What is another's is not there, in lists neither.
                    if role == "stranger" and line.whose == FACTORY:
                        assert world.objects["batch"] not in text, path
    assert wrong == []


async def test_a_head_request_is_let_in_no_more_than_a_get(
    redis_url: str, database_url: str
) -> None:
    wrong = []
    async with opened(redis_url, database_url) as world:
        for where, app in world.apps.items():
            for route in app.router.routes():
                assert route.resource is not None
                if route.method != "HEAD":
                    continue
                path = route.resource.canonical
                line = TABLE[where]["GET", path]
                for role in ROLES:
                    status, _ = await world.ask(where, "HEAD", path, line, role)
                    if status != expected(line, role):
                        wrong.append((where, path, role, status))
    assert wrong == []


async def test_another_factory_cannot_tell_what_is_not_its_own_from_nothing(
    redis_url: str, database_url: str
) -> None:
    async with opened(redis_url, database_url) as world:
        for (method, path), line in TABLE["factory"].items():
            if not line.of:
                continue
            _, foreign = await world.ask("factory", method, path, line, "stranger")
            nothing = Line(line.whose, 404, "nothing", line.body)
            _, absent = await world.ask("factory", method, path, nothing, "stranger")
            assert foreign == absent, path


async def test_the_document_says_who_is_let_in(redis_url: str, database_url: str) -> None:
    async with opened(redis_url, database_url) as world:
        for where, table in TABLE.items():
            async with world.sessions[where].get("/openapi.json") as response:
                document = await response.json()
            for (method, path), line in table.items():
                if path == "/openapi.json":
                    continue
                if not line.documented:
                    assert method.lower() not in document["paths"].get(path, {}), path
                    continue
                said = document["paths"][path][method.lower()].get("security")
                assert said == schemes_of(line.whose), path


def schemes_of(whose: str) -> list[dict[str, list[str]]] | None:
    """What the document says of a route: any one of these will do."""
    if whose == ANYBODY:
        return None
    return [{FACTORY: []}] if whose == FACTORY else [{"key": [whose]}, {"session": [whose]}]
