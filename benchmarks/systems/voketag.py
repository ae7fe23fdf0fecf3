"""VokeTag as it is run: every process of the Procfile, and the embedded servers."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from redis.asyncio import Redis

from benchmarks.systems.system import PRODUCTS, System
from voketag import settings as settings_module
from voketag.ops import clients
from voketag.ops import run as ops_run
from voketag.ops.clients import Clients
from voketag.settings import Settings
from voketag.stack.formation import Formation
from voketag.stack.home import make_home
from voketag.stack.program import Program, read_procfile
from voketag.stack.run import PROCFILE
from voketag.stack.stack import Stack
from voketag.stack.supervise import Supervisor

NAME = "VokeTag"
PRODUCTS_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Running:
    """The whole system, ready: its servers, its programs by the names in the Procfile, and what
    reaches them.
    """

    settings: Settings
    servers: Stack
    programs: Supervisor
    program_names: tuple[str, ...]
    api: Clients
    database: asyncpg.Connection
    redis: Redis


@contextlib.asynccontextmanager
async def started(folder: Path) -> AsyncIterator[System]:
    """The whole system, ready, with a factory and its products; ended with the context."""
    async with running(folder, {"VOKETAG_SCAN_RATE_LIMIT": "0"}) as whole:
        tokens = await _products(whole.api, PRODUCTS)
        yield System(
            NAME,
            f"{whole.api.where.scan}/v1/scans",
            tokens,
            whole.servers,
            whole.programs,
            whole.program_names,
            whole.database,
            whole.redis,
            scan_time="scanned_at",
        )


@contextlib.asynccontextmanager
async def running(folder: Path, variables: Mapping[str, str]) -> AsyncIterator[Running]:
    """The whole system in an empty folder, with these settings beside the defaults; ended with the
    context.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VOKETAG_")}
    ports = dict.fromkeys(ops_run.PORT_VARIABLES, "0")
    environ = ops_run.with_ports(kept | ports | dict(variables))
    async with contextlib.AsyncExitStack() as stack:
        log = stack.enter_context((folder / "programs.log").open("w"))

        def say(line: str) -> None:
            print(line, file=log, flush=True)

        servers = await stack.enter_async_context(Stack(folder / "servers", environ, report=say))
        environ = {**environ, **servers.environment}
        settings = settings_module.load(environ)
        await ops_run.migrate(settings.database_url)
        programs = Supervisor(make_home(folder / "programs"), environ, say, say)
        stack.push_async_callback(programs.stop)
        names = await _start(programs, settings)
        api = await stack.enter_async_context(clients.opened(settings, retries=False))
        await ops_run.everything_ready(api)
        redis = Redis.from_url(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        database = await asyncpg.connect(settings.database_url)
        stack.push_async_callback(database.close)
        yield Running(settings, servers, programs, names, api, database, redis)


def programs_of(settings: Settings | None = None) -> dict[str, Program]:
    """The programs of the Procfile by name, as `voketag run` starts them; without settings, those
    that listen nowhere.
    """
    formation = Formation()
    if settings is not None:
        formation = Formation(ops_run.addresses(settings), settings.formation)
    return {program.name: program for program in formation.programs(read_procfile(PROCFILE))}


async def _start(programs: Supervisor, settings: Settings) -> tuple[str, ...]:
    """Start what the Procfile names. The names."""
    every = programs_of(settings)
    await asyncio.gather(*(programs.start(program) for program in every.values()))
    return tuple(every)


async def _products(api: Clients, count: int) -> list[str]:
    """Have a factory push a batch. The tokens of its products, once they are stored."""
    made = await api.ops.create_factory("Benchmark", "benchmark@example.com")
    factory = api.factory(made.api_key)
    batch = await factory.create_batch(product_count=count, sku="SHOE-42", name="Running shoe")
    await factory.wait_for(batch.batch_id, "processing", timeout_s=PRODUCTS_TIMEOUT_S)
    return [product.token async for product in factory.products(batch.batch_id)]
