"""A client of VokeTag's own HTTP API, for the first start's demo data and for `voketag demo`."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp

from voketag.errors import VokeTagError
from voketag.settings import Settings

TIMEOUT_S = 30.0
USER_AGENT = "VokeTagApp/1.0 (Android 15)"  # we stand for a phone, not for a program
POLL_EVERY_S = 0.01
Value = TypeVar("Value")


class Failed(VokeTagError):
    """The API did not answer as it should; the message says what was asked and what came."""


class Late(VokeTagError):
    """Something did not happen within its time; the message says what, and how far it came."""


@dataclass(frozen=True, slots=True)
class Urls:
    """Where the three HTTP processes of an instance are."""

    scan: str
    factory: str
    ops: str


def urls(settings: Settings) -> Urls:
    """The URLs at which this machine reaches an instance with these settings."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    ports = (settings.scan_port, settings.factory_port, settings.ops_port)
    return Urls(*(f"http://{host}:{port}" for port in ports))


class Client:
    """The API as one who holds the admin key sees it; a factory's own key is given each time."""

    def __init__(self, session: aiohttp.ClientSession, where: Urls, admin_key: str) -> None:
        self._session = session
        self.where = where
        self._admin_key = admin_key

    async def ask(
        self,
        method: str,
        url: str,
        expected: int | tuple[int, ...] = 200,
        *,
        key: str | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """One request; gives the status and the body. Raises Failed for another status."""
        sent = dict(headers or {})
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        try:
            async with self._session.request(method, url, json=body, headers=sent) as response:
                status, answer = response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Failed(f"{method} {url}: {type(error).__name__}: {error}") from error
        if status not in (expected if isinstance(expected, tuple) else (expected,)):
            text = answer[:300].decode(errors="replace").strip()
            raise Failed(f"{method} {url}: answered {status}, expected {expected}: {text}")
        return status, answer

    async def create_factory(self, name: str, email: str) -> tuple[str, str]:
        """A new factory's id and API key."""
        url = f"{self.where.ops}/v1/factories"
        body = {"name": name, "email": email}
        _, answer = await self.ask("POST", url, 201, key=self._admin_key, body=body)
        created = json.loads(answer)
        return created["factory_id"], created["api_key"]

    async def push_batch(self, key: str, **batch: Any) -> str:
        """Push a batch; gives its id once it is accepted."""
        url = f"{self.where.factory}/v1/batches"
        _, answer = await self.ask("POST", url, 202, key=key, body=batch)
        return str(json.loads(answer)["batch_id"])

    async def batch(self, key: str, batch_id: str) -> dict[str, Any]:
        """A batch as its factory sees it."""
        url = f"{self.where.factory}/v1/batches/{batch_id}"
        _, answer = await self.ask("GET", url, key=key)
        return dict(json.loads(answer))

    async def products(self, key: str, batch_id: str) -> list[dict[str, Any]] | None:
        """A batch's products with their tokens; None where this key has no such batch."""
        url = f"{self.where.factory}/v1/batches/{batch_id}/products"
        accept = {"Accept": "application/x-ndjson"}
        status, answer = await self.ask("GET", url, (200, 401, 404, 409), key=key, headers=accept)
        return [json.loads(line) for line in answer.splitlines()] if status == 200 else None

    async def scan(self, address: str | None = None, **scan: Any) -> dict[str, Any]:
        """Scan a token, as from `address` where the settings trust this machine as a proxy."""
        headers = {} if address is None else {"X-Forwarded-For": address}
        url = f"{self.where.scan}/v1/scans"
        _, answer = await self.ask("POST", url, body=scan, headers=headers)
        return dict(json.loads(answer))

    async def stored_scan(self, scan_id: str) -> dict[str, Any] | None:
        """A scan as it stands in the record, None before it is stored."""
        status, answer = await self.ask(
            "GET", f"{self.where.scan}/v1/scans/{quote(scan_id)}", (200, 404)
        )
        return dict(json.loads(answer)) if status == 200 else None

    async def report(self, **report: Any) -> str:
        """File a fraud report; gives its id."""
        _, answer = await self.ask("POST", f"{self.where.scan}/v1/reports", 202, body=report)
        return str(json.loads(answer)["report_id"])

    async def proof(self, key: str, product_id: str) -> bytes:
        """A product's proof bundle, as it is handed out."""
        url = f"{self.where.factory}/v1/products/{product_id}/proof"
        _, answer = await self.ask("GET", url, key=key)
        return answer

    async def streams(self) -> dict[str, Any]:
        """The streams and their groups, as ops sees them."""
        _, answer = await self.ask("GET", f"{self.where.ops}/v1/streams", key=self._admin_key)
        return dict(json.loads(answer))

    async def ready(self, where: str) -> None:
        """Raises Failed unless this HTTP process says that its servers answer."""
        await self.ask("GET", f"{where}/readyz")


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Client]:
    """A client of the instance with these settings."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    headers = {"User-Agent": USER_AGENT}
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        yield Client(session, urls(settings), settings.admin_key)


async def until(
    what: str,
    probe: Callable[[], Awaitable[Value | None]],
    timeout_s: float,
    every_s: float = POLL_EVERY_S,
) -> Value:
    """The first value that `probe` gives, asked again and again. Raises Late after `timeout_s`."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while (value := await probe()) is None:
        if asyncio.get_running_loop().time() > deadline:
            raise Late(f"{what}: not within {timeout_s:g} s")
        await asyncio.sleep(every_s)
    return value
