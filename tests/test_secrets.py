"""Where secrets and personal data are not: the whole system works, fails and is asked the wrong
things, and then everything it wrote, said and keeps is searched for them.
"""

from __future__ import annotations

import json
import signal
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import psutil
import pytest
from redis.asyncio import Redis

from tests.factory_floor import until
from tests.flow import push
from tests.system import System
from voketag import keys
from voketag.ops.clients import Clients

EMAIL, REPORTER = "orders@acme-secrets.example", "reporter@person.example"
ADDRESS, INSTALL, AGENT = "203.0.113.77", "install-7f3a9c", "AgentOfOnePerson/9.1"
KEPT_FOR_THE_OWNER = {"secrets.json", "environment.json", "demo.json"}
PERSONAL = {ADDRESS, INSTALL, AGENT}
READS: dict[bytes, tuple[str | int, ...]] = {
    b"string": ("GET",),
    b"hash": ("HGETALL",),
    b"list": ("LRANGE", 0, -1),
    b"set": ("SMEMBERS",),
    b"zset": ("ZRANGE", 0, -1),
    b"stream": ("XRANGE", "-", "+"),
}


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    started = System(tmp_path / "home")
    started.environ |= {"VOKETAG_LOG_LEVEL": "debug", "VOKETAG_TRUSTED_PROXIES": "127.0.0.1/32"}
    yield started
    await started.close()


async def use(api: Clients) -> dict[str, str]:
    """Do what is done with VokeTag, rightly and wrongly; gives the secrets that came of it."""
    key = (await api.ops.create_factory("Acme", EMAIL)).api_key
    _, products = await push(api.factory(key), 3)
    token, guess = products[0].token, keys.mint()
    headers = {"X-Forwarded-For": ADDRESS, "User-Agent": AGENT}
    scan_id = await _as_a_person(api, token, headers)

    async def recorded() -> bool:
        return await api.scan.scan_of_record(scan_id) is not None

    await until(recorded, "the scan is stored")
    await _wrongly(api, token, guess, headers)
    return {"token": token, "api key": key, "guessed key": guess}


async def _as_a_person(api: Clients, token: str, headers: dict[str, str]) -> str:
    async with aiohttp.ClientSession(headers=headers) as session:
        scan = {"token": token, "country": "BR", "device": {"install_id": INSTALL}}
        async with session.post(f"{api.where.scan}/v1/scans", json=scan) as response:
            scan_id = str((await response.json())["scan_id"])
        report = {"token": token, "reason": "counterfeit", "email": REPORTER}
        async with session.post(f"{api.where.scan}/v1/reports", json=report) as response:
            assert response.status == 202
        async with session.get(f"{api.where.scan}/r/{token}") as response:
            assert token not in await response.text()
    return scan_id


async def _wrongly(api: Clients, token: str, guess: str, headers: dict[str, str]) -> None:
    """Wrong keys, wrong bodies and paths that hold secrets; no answer gives one back."""
    bearer = {**headers, "Authorization": f"Bearer {guess}"}
    async with aiohttp.ClientSession(headers=bearer) as session:
        for where, path in (
            (api.where.factory, "/v1/batches"),
            (api.where.ops, "/v1/stats"),
            (api.where.scan, f"/v1/scans/{token}"),
            (api.where.factory, f"/{guess}?key={guess}"),
        ):
            async with session.get(where + path) as response:
                assert response.status in (401, 404)
                said = await response.text() + str(response.headers)
                assert guess not in said
                assert token not in said
        for body in (b'{"token": "' + token.encode(), b'{"token": ["' + token.encode() + b'"]}'):
            kind = {"Content-Type": "application/json"}
            url = f"{api.where.scan}/v1/scans"
            async with session.post(url, data=body, headers=kind) as response:
                assert response.status in (400, 422)
                assert token not in await response.text()


async def metrics(api: Clients) -> str:
    text = []
    async with aiohttp.ClientSession() as session:
        for where in (api.where.scan, api.where.factory, api.where.ops):
            async with session.get(f"{where}/metrics") as response:
                text.append(await response.text())
    return "\n".join(text)


async def in_redis(url: str) -> str:
    """Every key and value of Redis, as text."""
    found = []
    async with Redis.from_url(url) as redis:
        async for key in redis.scan_iter():
            send: Callable[..., Awaitable[Any]] = redis.execute_command
            name, *rest = READS[await send("TYPE", key)]
            value = await send(name, key, *rest)
            found.append(f"{key!r} {value!r}")
    return "\n".join(found)


async def in_postgres(system: System) -> dict[str, str]:
    """Every row of every table as text, by the table's name."""
    tables = await system.fetch(
        "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE nspname = 'public' AND relkind = 'r'"
    )
    return {
        name: str([row[0] for row in await system.fetch(f"SELECT t::text FROM {name} t")])
        for (name,) in tables
    }


def family(system: System) -> list[psutil.Process]:
    started = psutil.Process(system.running.pid)
    return [started, *started.children(recursive=True)]


def files_of(home: Path) -> Iterator[Path]:
    """Logs and whatever else stands in the data directory beside the servers' own data."""
    for path in home.rglob("*"):
        ours = path.parent.name == "logs" or path.parent == home
        if ours and path.is_file() and path.name not in KEPT_FOR_THE_OWNER:
            yield path


def secrets_of(system: System) -> dict[str, str]:
    """What the instance must keep to itself."""
    kept = json.loads((system.home / "secrets.json").read_text())
    kept.pop("created")
    kept["token_keys"] = kept["token_keys"].partition(":")[2]
    return {name: str(value) for name, value in kept.items()}


def leaks(text: str, secrets: dict[str, str]) -> set[str]:
    return {name for name, value in secrets.items() if value in text}


@pytest.mark.timeout(240)
async def test_secrets_are_nowhere_but_where_they_belong(system: System) -> None:
    await system.start()
    own = secrets_of(system)
    assert leaks(system.output, own) == {"admin_key"}  # shown once, at the first start
    system.output = system.output.replace(own["admin_key"], "")
    async with system.api() as api:
        made = await use(api)
        everything = own | made
        assert leaks(await metrics(api), everything) == set()
        redis, rows = await in_redis(system.settings.redis_url), await in_postgres(system)
    for process in family(system):
        assert leaks(" ".join(process.cmdline()), everything) == set(), process.cmdline()
        assert mode(Path(f"/proc/{process.pid}/environ")) == 0o400
    for name, text in {"redis": redis, **rows}.items():
        personal = {value: value for value in PERSONAL | {EMAIL, REPORTER}}
        allowed = {"factories": {EMAIL}, "fraud_reports": {REPORTER}}.get(name, set())
        assert leaks(text, everything) == set(), name
        assert leaks(text, personal) == allowed, name
    check_modes(system.home)
    await system.end(signal.SIGTERM)
    written = {path.name: path.read_text(errors="replace") for path in files_of(system.home)}
    for name, text in {"output": system.output, **written}.items():
        words = everything | {value: value for value in PERSONAL | {EMAIL, REPORTER}}
        assert leaks(text, words) - allowed_in(name) == set(), name
    assert '"event": "started"' in system.output
    await system.start()
    assert leaks(system.output, own) == set()


def allowed_in(name: str) -> set[str]:
    """redis.conf is how the server is told its password without a command line."""
    return {"redis_password"} if name == "redis.conf" else set()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def check_modes(home: Path) -> None:
    """Nobody but the owner reads the data directory, whatever the umask."""
    assert mode(home) == 0o700
    for name in KEPT_FOR_THE_OWNER:
        assert mode(home / name) == 0o600, name
    for path in home.iterdir():
        if path.is_dir():
            assert mode(path) == 0o700, path.name


async def test_servers_are_told_none_of_our_secrets(system: System) -> None:
    """What an embedded server does not need is not in its environment either."""
    await system.start()
    own = secrets_of(system)
    for name in ("redis", "postgres", "chain"):
        pid = system.pid(name)
        assert pid is not None
        assert leaks(str(psutil.Process(pid).environ()), own) == set(), name
    host = urlsplit(system.settings.database_url).hostname
    assert host == "127.0.0.1"
