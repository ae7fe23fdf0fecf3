"""A peer as a factory, as its own promises allow: its Redis' directives, its schema, no chain."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import asyncpg
from redis.asyncio import Redis

from benchmarks.factories.factory import Factory
from benchmarks.peers.peer import Peer
from voketag.stack.home import choose_port, make_home, make_private
from voketag.stack.program import Program
from voketag.stack.stack import VARIABLES, Stack
from voketag.stack.supervise import Supervisor

READY_TIMEOUT_S = 60.0
_POLL_EVERY_S = 0.05
_NO_CHAIN = {VARIABLES["chain"]: "http://127.0.0.1:9"}  # none is started


@contextlib.asynccontextmanager
async def started(peer: Peer, folder: Path) -> AsyncIterator[Factory]:
    """The peer, ready; ended with the context. Raises Missing where it is not installed."""
    built = make_private(folder / "built")
    if peer.build is not None:
        peer.build(built)
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
        await _configure(redis_url, peer)
        database = await asyncpg.connect(database_url)
        stack.push_async_callback(database.close)
        await database.execute(peer.schema.read_text())
        home = make_home(folder / "programs")
        port = choose_port(home, "peer")
        environ = {
            **kept,
            **{"HOME": str(home), "PEER_HOST": "127.0.0.1", "PEER_PORT": str(port)},
            **{"REDIS_URL": redis_url, "DATABASE_URL": database_url},
            **{"TOKEN_KEYS": f"1:{secrets.token_hex(32)}", "HASH_KEY": secrets.token_hex(32)},
        }
        programs = Supervisor(home, environ, say, say)
        stack.push_async_callback(programs.stop)
        commands = peer.programs(built)
        logs = make_private(home / "logs")
        for name, argv in commands.items():
            await programs.start(Program(name, tuple(argv), log=logs / f"{name}.log"))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        root = f"http://127.0.0.1:{port}"
        await _ready(session, f"{root}/healthz")
        url, names = f"{root}/v1/batches", tuple(commands)
        yield Factory(peer.name, url, {}, session, database, "id", programs, names)


async def _configure(redis_url: str, peer: Peer) -> None:
    redis = Redis.from_url(redis_url)
    try:
        for directive, value in peer.redis.items():
            await redis.config_set(directive, value)
    finally:
        await redis.aclose()


async def _ready(session: aiohttp.ClientSession, url: str) -> None:
    """Wait until it answers. Raises TimeoutError."""
    async with asyncio.timeout(READY_TIMEOUT_S):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(_POLL_EVERY_S)
