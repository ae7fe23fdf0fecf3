"""A replica of the tests' Redis: a process that can be stalled."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

from redis.asyncio import Redis

from tests.factory_floor import until
from tests.servers import binaries
from voketag.stack.home import choose_port
from voketag.stack.redis import find_binary


class Replica:
    """A running replica."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    def stall(self) -> None:
        """It answers nobody, as behind a broken network."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)


@contextlib.asynccontextmanager
async def replica_of(redis_url: str, folder: Path) -> AsyncIterator[Replica]:
    """A replica that follows the server at `redis_url`, once it does."""
    primary = urlsplit(redis_url)
    arguments = {
        "port": str(choose_port(folder, "replica")),
        "bind": "127.0.0.1",
        "dir": str(folder),
        "replicaof": f"127.0.0.1 {primary.port}",
        "masterauth": primary.password or "",
        "requirepass": primary.password or "",
        "save": "",
    }
    configuration = folder / "replica.conf"
    configuration.write_text(
        "".join(f"{name} {value or chr(34) * 2}\n" for name, value in arguments.items())
    )
    process = await asyncio.create_subprocess_exec(
        str(binaries().redis or find_binary()),
        str(configuration),
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        async with Redis.from_url(redis_url) as client:
            await client.config_set("repl-diskless-sync-delay", 0)  # it would wait for others

            async def followed() -> bool:
                return bool(await client.wait(1, 100))

            await client.set("followed", 1, px=1)
            await until(followed, "a replica that follows")
        yield Replica(process)
    finally:
        process.kill()
        await process.wait()
        async with Redis.from_url(redis_url) as client:

            async def alone() -> bool:
                return not (await client.info("replication"))["connected_slaves"]

            await until(alone, "the replica gone")
