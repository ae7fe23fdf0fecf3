"""The system under audit: real servers, a proxy in front of each, and every process of the
Procfile, the consumers that hold data twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.proxy import Proxy, proxied
from voketag import settings as settings_module
from voketag.ops import clients
from voketag.ops import run as ops_run
from voketag.ops.clients import Clients
from voketag.settings import Settings
from voketag.stack import run as stack_run
from voketag.stack.formation import Formation
from voketag.stack.program import read_procfile
from voketag.stack.run import PROCFILE
from voketag.stack.stack import VARIABLES, Stack

COPIES = dict.fromkeys(("score", "persist", "register", "anchor"), 2)
START_TIMEOUT_S = 120.0
LIMITS = {"VOKETAG_SCAN_RATE_LIMIT": "0", "VOKETAG_ANCHOR_WINDOW_S": "0.2"}


@dataclass
class System:
    """A running system. `settings` hold the URLs of the servers themselves, for the audit; its
    processes only know those of the proxies.
    """

    home: Path
    servers: Stack
    proxies: Mapping[str, Proxy]
    programs: tuple[str, ...]
    settings: Settings
    api: Clients
    interrupted: asyncio.Event

    def pid(self, name: str) -> int | None:
        """The process of a program or server of this moment, None while it is down."""
        if name in VARIABLES:
            return self.servers.pid(name)
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int((self.home / "programs" / "pids" / name).read_text().split()[0])
        return None

    def send(self, name: str, number: signal.Signals) -> int | None:
        """Send a signal to a program or server; gives its process id, None where it is down."""
        pid = self.pid(name)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
                return pid
        return None


def procfile(replaced: Mapping[str, str]) -> str:
    """The project's Procfile, with other commands for the programs in `replaced`."""
    lines = []
    for line in PROCFILE.read_text().splitlines():
        name, _, command = line.partition(": ")
        lines.append(f"{name}: {replaced.get(name, command)}")
    return "\n".join(lines) + "\n"


@contextlib.asynccontextmanager
async def started(home: Path, replaced: Mapping[str, str]) -> AsyncIterator[System]:
    """The system, ready, in an empty directory; ended when the context ends."""
    written = home / "Procfile"
    written.write_text(procfile(replaced))
    environ = {name: value for name, value in os.environ.items() if not name.startswith("VOKETAG_")}
    ports = dict.fromkeys(ops_run.PORT_VARIABLES, "0")
    environ = ops_run.with_ports(environ | LIMITS | ports)
    async with contextlib.AsyncExitStack() as stack:
        log = stack.enter_context((home / "programs.log").open("w"))

        def say(line: str) -> None:
            print(line, file=log)

        servers = await stack.enter_async_context(Stack(home / "servers", environ, report=say))
        proxies, through = {}, {}
        for name, variable in VARIABLES.items():
            proxy, url = await stack.enter_async_context(proxied(servers.environment[variable]))
            proxies[name], through[variable] = proxy, url
        ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        ending = asyncio.Event()

        async def announce(environment: Mapping[str, str], _: bool) -> None:
            ready.set_result({**environ, **through, **environment})

        running = asyncio.create_task(
            stack_run.run(
                home / "programs",
                environ | through,
                prepare=_prepare(environ | through),
                ready=_everything_ready(environ | through),
                announce=announce,
                until=ending,
                procfile=written,
                report=say,
                show=say,
            )
        )
        stack.push_async_callback(_end, running, ending)
        await asyncio.wait(
            [running, ready], timeout=START_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED
        )
        if not ready.done():
            await running  # it says why
            raise TimeoutError(f"not ready in {START_TIMEOUT_S:g} s")
        direct = {variable: servers.environment[variable] for variable in VARIABLES.values()}
        settings = settings_module.load({**ready.result(), **direct})
        api = await stack.enter_async_context(clients.opened(settings, retries=False))
        programs = Formation(copies=COPIES).programs(read_procfile(written))
        names = tuple(program.name for program in programs)
        yield System(home, servers, proxies, names, settings, api, ending)


def _prepare(environ: Mapping[str, str]) -> stack_run.Prepare:
    async def prepare(environment: dict[str, str]) -> Formation:
        settings = settings_module.load({**environ, **environment})
        await ops_run.migrate(settings.database_url)
        return Formation(ops_run.addresses(settings), COPIES)

    return prepare


def _everything_ready(environ: Mapping[str, str]) -> stack_run.Hook:
    async def ready(environment: dict[str, str]) -> None:
        settings = settings_module.load({**environ, **environment})
        async with clients.opened(settings, retries=False) as api:
            await ops_run.everything_ready(api)

    return ready


async def _end(running: asyncio.Task[None], ending: asyncio.Event) -> None:
    ending.set()
    await running
