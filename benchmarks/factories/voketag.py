"""VokeTag as a factory: every process of the Procfile, and the embedded servers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import aiohttp
import asyncpg

from benchmarks.factories.factory import Factory
from voketag import settings as settings_module
from voketag.ops import client
from voketag.ops import run as ops_run
from voketag.settings import Settings
from voketag.stack.home import make_home
from voketag.stack.program import Program, read_procfile
from voketag.stack.run import PROCFILE, READY_TIMEOUT_S
from voketag.stack.stack import Stack
from voketag.stack.supervise import Supervisor

NAME = "VokeTag"
_UNLIMITED = {"VOKETAG_BATCH_RATE_LIMIT": "0", "VOKETAG_SCAN_RATE_LIMIT": "0"}


@contextlib.asynccontextmanager
async def started(
    folder: Path, variables: Mapping[str, str] | None = None
) -> AsyncIterator[Factory]:
    """The whole system, ready, with a factory's key; ended with the context.

    `variables` are settings other than the defaults; no rate is limited.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VOKETAG_")}
    ports = dict.fromkeys(ops_run.PORT_VARIABLES, "0")
    environ = ops_run.with_ports(kept | ports | _UNLIMITED | dict(variables or {}))
    async with contextlib.AsyncExitStack() as stack:
        log = stack.enter_context((folder / "programs.log").open("w"))

        def say(line: str) -> None:
            print(line, file=log, flush=True)

        servers = await stack.enter_async_context(Stack(folder / "servers", environ, report=say))
        environ |= servers.environment
        settings = settings_module.load(environ)
        await ops_run.migrate(settings.database_url)
        programs = Supervisor(make_home(folder / "programs"), environ, say, say)
        stack.push_async_callback(programs.stop)
        names = await _start_programs(programs, settings)
        api = await stack.enter_async_context(client.opened(settings))
        await ops_run.everything_ready(api)
        _, key = await api.create_factory("Benchmark", "benchmark@example.com")
        database = await asyncpg.connect(settings.database_url)
        stack.push_async_callback(database.close)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        headers = {"Authorization": f"Bearer {key}"}
        url = f"{api.where.factory}/v1/batches"
        yield Factory(NAME, url, headers, session, database, "batch_id", programs, names)


async def _start_programs(programs: Supervisor, settings: Settings) -> tuple[str, ...]:
    """Start what the Procfile names. The names."""
    addresses = ops_run.addresses(settings)
    every = _programs()
    for name, program in every.items():
        await programs.start(replace(program, listen=addresses.get(name)))
    return tuple(every)


def consumer(name: str) -> Program:
    """A consumer's program, for one that is stopped for a while."""
    return _programs()[name]


def _programs() -> dict[str, Program]:
    """The Procfile's programs with what `voketag run` knows of them, addresses aside."""
    return {
        program.name: replace(program, tells_ready=True, ready_timeout_s=READY_TIMEOUT_S)
        for program in read_procfile(PROCFILE)
    }
