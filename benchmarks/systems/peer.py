"""A peer as its own promises allow: a Redis with its directives, a Postgres with its schema."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import asyncpg
from redis.asyncio import Redis

from benchmarks.peers.identifiers import read_keys, uuid7s
from benchmarks.peers.peer import Peer, Programs
from benchmarks.systems.system import PRODUCTS, System
from voketag.stack.home import choose_port, make_home, make_private
from voketag.stack.program import Program
from voketag.stack.stack import VARIABLES, Stack
from voketag.stack.supervise import Supervisor
from voketag.tokens import KeyRing

READY_TIMEOUT_S = 60.0
_POLL_EVERY_S = 0.05
_NO_CHAIN = {VARIABLES["chain"]: "http://127.0.0.1:9"}  # it needs none, so none is started
_COLUMNS = ("id", "batch_id", "token", "sku", "name", "serial")


@dataclass(frozen=True)
class Running:
    """A peer, ready, at its URL: its servers, its programs by name, and what reaches them."""

    url: str
    token_keys: str
    servers: Stack
    programs: Supervisor
    program_names: tuple[str, ...]
    database: asyncpg.Connection
    redis: Redis


@contextlib.asynccontextmanager
async def started(peer: Peer, built: Path, folder: Path) -> AsyncIterator[System]:
    """The peer, ready, with products; ended with the context. `built` is what its `build` made."""
    async with running(peer, built, folder) as whole:
        tokens = await _products(whole.database, read_keys(whole.token_keys))
        yield System(
            peer.name,
            f"{whole.url}/v1/scans",
            tokens,
            whole.servers,
            whole.programs,
            whole.program_names,
            whole.database,
            whole.redis,
            scan_time="created_at",
        )


@contextlib.asynccontextmanager
async def running(peer: Peer, built: Path, folder: Path) -> AsyncIterator[Running]:
    """The peer in an empty folder; ended with the context."""
    token_keys = f"1:{secrets.token_hex(32)}"
    async with contextlib.AsyncExitStack() as stack:
        log = stack.enter_context((folder / "programs.log").open("w"))

        def say(line: str) -> None:
            print(line, file=log, flush=True)

        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        servers = Stack(folder / "servers", kept | _NO_CHAIN, report=say)
        await stack.enter_async_context(servers)
        redis_url, database_url = (
            servers.environment[VARIABLES[name]] for name in ("redis", "postgres")
        )
        redis = Redis.from_url(redis_url)
        stack.push_async_callback(redis.aclose)
        for directive, value in peer.redis.items():
            await redis.config_set(directive, value)
        database = await asyncpg.connect(database_url)
        stack.push_async_callback(database.close)
        await database.execute(peer.schema.read_text())
        home = make_home(folder / "programs")
        port = choose_port(home, "peer")
        environ = {
            **kept,
            **{"HOME": str(home), "PEER_HOST": "127.0.0.1", "PEER_PORT": str(port)},
            **{"REDIS_URL": redis_url, "DATABASE_URL": database_url, "RATE_LIMIT": "0"},
            **{"TOKEN_KEYS": token_keys, "HASH_KEY": secrets.token_hex(32)},
        }
        programs = Supervisor(home, environ, say, say)
        stack.push_async_callback(programs.stop)
        commands = peer.programs(built)
        await _start(programs, home, commands, port)
        url, names = f"http://127.0.0.1:{port}", tuple(commands)
        yield Running(url, token_keys, servers, programs, names, database, redis)


async def _start(programs: Supervisor, home: Path, commands: Programs, port: int) -> None:
    """Start its programs and wait until they answer. Raises TimeoutError."""
    logs = make_private(home / "logs")
    for name, argv in commands.items():
        await programs.start(Program(name, tuple(argv), log=logs / f"{name}.log"))
    async with asyncio.timeout(READY_TIMEOUT_S):
        while not await _answers(port):  # noqa: ASYNC110  # another process's event
            await asyncio.sleep(_POLL_EVERY_S)


async def _answers(port: int) -> bool:
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/healthz") as response,
        ):
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def _products(database: asyncpg.Connection, ring: KeyRing) -> list[str]:
    """Put products into its table. Their tokens."""
    batch_id, *product_ids = uuid7s(1 + PRODUCTS)
    tokens = [ring.mint(product_id) for product_id in product_ids]
    rows = [
        (product_id, batch_id, token, "SHOE-42", "Running shoe", f"S{number:06}")
        for number, (product_id, token) in enumerate(zip(product_ids, tokens, strict=True))
    ]
    await database.copy_records_to_table("products", records=rows, columns=_COLUMNS)
    return tokens
