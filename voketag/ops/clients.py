"""The clients of one instance's own HTTP API, for its first start, for `voketag demo` and for what
looks at it from outside.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp

from voketag.client import FactoryClient, OpsClient, ScanClient
from voketag.client.transport import HttpClient
from voketag.settings import Settings

USER_AGENT = "VokeTagApp/1.0 (Android 15)"  # we stand for a phone, not for a program


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


class Clients:
    """The API as one who holds the admin key sees it, over one session."""

    def __init__(
        self, session: aiohttp.ClientSession, where: Urls, admin_key: str, *, retries: bool
    ) -> None:
        self.where = where
        self.scan = ScanClient(where.scan, session=session, retries=retries, user_agent=USER_AGENT)
        self.ops = OpsClient(where.ops, admin_key, session=session, retries=retries)
        self._session = session
        self._retries = retries

    def factory(self, key: str) -> FactoryClient:
        """The client of the factory with this API key."""
        return FactoryClient(self.where.factory, key, session=self._session, retries=self._retries)

    @property
    def doors(self) -> dict[str, HttpClient]:
        """A client of each HTTP process, by name; ask of it only whether it is `ready`."""
        return {"scan": self.scan, "factory": self.factory(""), "ops": self.ops}


@contextlib.asynccontextmanager
async def opened(settings: Settings, *, retries: bool = True) -> AsyncIterator[Clients]:
    """The clients of the instance with these settings; without `retries` a call is one attempt."""
    async with aiohttp.ClientSession() as session:
        yield Clients(session, urls(settings), settings.admin_key, retries=retries)
