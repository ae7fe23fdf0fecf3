"""The servers VokeTag needs: embedded ones for every URL that the environment does not give."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from voketag.stack import chain, leftovers, postgres, redis
from voketag.stack.home import (
    Secrets,
    StackError,
    choose_port,
    load_or_create_secrets,
    locked,
    make_home,
    make_private,
    port_is_free,
)
from voketag.stack.program import Server
from voketag.stack.supervise import Supervisor, report_line

VARIABLES = {
    "redis": "VOKETAG_REDIS_URL",
    "postgres": "VOKETAG_DATABASE_URL",
    "chain": "VOKETAG_CHAIN_URL",
}
START_ATTEMPTS = 3


@dataclass(frozen=True)
class Binaries:
    """Where the servers' programs are; what is None is found among the installed packages."""

    redis: Path | None = None
    postgres: Path | None = None
    chain: Path | None = None


class Stack:
    """The lock on the data directory, the secrets in it and the embedded servers.

    Inside `async with`, `environment` holds what every process of ours is to be given: the URLs,
    the keys and the data directory. The servers are `redis`, `postgres` and `chain`.
    """

    def __init__(
        self,
        home: Path,
        environ: Mapping[str, str],
        *,
        binaries: Binaries | None = None,
        report: Callable[[str], None] = report_line,
    ) -> None:
        self.home = home
        self.environ = environ
        self.binaries = binaries or Binaries()
        self.report = report
        self.environment: dict[str, str] = {}
        self.first_start = False
        self.servers: dict[str, Server] = {}
        self._cleanup = ExitStack()
        self._supervisor: Supervisor | None = None

    async def __aenter__(self) -> Self:
        self.home = make_home(self.home)
        self._cleanup.enter_context(locked(self.home))
        try:
            await self._open()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._close()

    @property
    def supervisor(self) -> Supervisor:
        """What keeps the servers running."""
        if self._supervisor is None:
            raise StackError("The stack is not started.")
        return self._supervisor

    def pid(self, name: str) -> int | None:
        """The process id of a server, None while it is down."""
        return self.supervisor.pid(name)

    async def kill(self, name: str) -> None:
        """End a server as a crash would, and wait until it is gone; it is started again."""
        await self.supervisor.kill(name)

    async def ready(self, name: str, timeout_s: float = 30.0) -> None:
        """Wait until a server answers again."""
        await self.supervisor.ready(name, timeout_s)

    async def stop(self, name: str) -> None:
        """Stop a server and leave it stopped."""
        await self.supervisor.stop(name)

    async def start(self, name: str) -> None:
        """Start a server that was stopped, and wait until it answers."""
        await self.supervisor.start(self.servers[name].program)

    async def restart(self, name: str) -> None:
        """Stop a server and start it again."""
        await self.stop(name)
        await self.start(name)

    async def _open(self) -> None:
        secrets = load_or_create_secrets(self.home)
        make_private(self.home / "logs")
        if ended := await leftovers.sweep(self.home):
            self.report(f"ended what an earlier run had left running: {', '.join(ended)}")
        self.first_start = secrets.created
        self._supervisor = Supervisor(self.home, self.environ, self.report)
        embedded = [name for name, variable in VARIABLES.items() if not self.environ.get(variable)]
        results = await asyncio.gather(
            *(self._start_embedded(name, secrets) for name in embedded), return_exceptions=True
        )
        if failures := [result for result in results if isinstance(result, BaseException)]:
            raise failures[0]
        self.environment = self._environment(secrets)

    async def _close(self) -> None:
        try:
            if self._supervisor is not None:
                await self._supervisor.stop()
        finally:
            self._supervisor = None
            self._cleanup.close()

    async def _start_embedded(self, name: str, secrets: Secrets) -> None:
        for attempt in range(1, START_ATTEMPTS + 1):
            port = choose_port(self.home, name, self._asked_ports())
            self.servers[name] = self._server(name, port, secrets)
            try:
                await self.start(name)
            except StackError:
                # Someone else may have taken the port between our look and the server's.
                if attempt == START_ATTEMPTS or port_is_free(port):
                    raise
            else:
                return

    def _server(self, name: str, port: int, secrets: Secrets) -> Server:
        home, found = self.home, self.binaries
        if name == "redis":
            binary = found.redis or redis.find_binary()
            most = self._number("VOKETAG_REDIS_MAX_MEMORY_MIB", 0) << 20
            memory_bytes = most or redis.default_max_memory_bytes()
            return redis.server(home, port, secrets.redis_password, binary, memory_bytes)
        if name == "postgres":
            folder = found.postgres or postgres.find_binaries(home)
            return postgres.server(home, port, secrets.postgres_password, folder)
        binary = found.chain or chain.find_binary()
        confirmations = self._number("VOKETAG_CONFIRMATIONS", 1)
        return chain.server(home, port, confirmations, binary, self.report)

    def _asked_ports(self) -> set[int]:
        """The ports of our own processes, which start after the servers."""
        asked = [
            value
            for name, value in self.environ.items()
            if name.startswith("VOKETAG_") and name.endswith("_PORT")
        ]
        return {int(value) for value in asked if value.isascii() and value.isdigit()}

    def _number(self, variable: str, default: int) -> int:
        """What is not a number is reported with all other settings; here it is as if not set."""
        asked = self.environ.get(variable, "")
        return int(asked) if asked.isascii() and asked.isdigit() else default

    def _environment(self, secrets: Secrets) -> dict[str, str]:
        """What was set from outside stays; the rest is ours."""
        ours = {
            "VOKETAG_ADMIN_KEY": secrets.admin_key,
            "VOKETAG_TOKEN_KEYS": secrets.token_keys,
            "VOKETAG_HASH_KEY": secrets.hash_key,
            **{server.variable: server.url for server in self.servers.values()},
        }
        names = {*ours, *VARIABLES.values()}
        given = {name: value for name in names if (value := self.environ.get(name))}
        return {**ours, **given, "VOKETAG_HOME": str(self.home)}
