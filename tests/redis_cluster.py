"""A Redis Cluster of three primaries on loopback, each a server that can be killed and started."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis.exceptions
from redis.asyncio import Redis

from tests.servers import binaries, eventually
from voketag.redis.slots import SLOTS, slot_of
from voketag.stack.redis import find_binary

PRIMARIES = 3
NODE_TIMEOUT_MS = 2000
READY_S = 30.0
# As VokeTag asks for it; and a primary that is away takes no other with it.
DIRECTIVES = """\
bind 127.0.0.1
protected-mode no
appendonly yes
appendfsync always
maxmemory-policy noeviction
save ""
cluster-enabled yes
cluster-node-timeout {timeout_ms}
cluster-require-full-coverage no
cluster-announce-ip 127.0.0.1
port {port}
cluster-port {bus_port}
dir {directory}
"""


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at this moment."""
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(count):
            listening = stack.enter_context(socket.socket())
            listening.bind(("127.0.0.1", 0))
            found.append(int(listening.getsockname()[1]))
        return found


@dataclass
class Primary:
    """One server, on the same ports in each of its lives."""

    directory: Path
    port: int
    bus_port: int
    process: asyncio.subprocess.Process | None = field(default=None)

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Redis]:
        async with Redis.from_url(f"redis://{self.place}/0") as opened:
            yield opened

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        self.directory.mkdir(exist_ok=True)
        configuration = self.directory / "redis.conf"
        configuration.write_text(
            DIRECTIVES.format(
                timeout_ms=NODE_TIMEOUT_MS,
                port=self.port,
                bus_port=self.bus_port,
                directory=self.directory,
            )
        )
        self.process = await asyncio.create_subprocess_exec(
            str(binaries().redis or find_binary()),
            str(configuration),
            stdout=asyncio.subprocess.DEVNULL,
        )

        async def answers() -> bool:
            assert self.process is not None
            assert self.process.returncode is None
            async with self.client() as client:
                with contextlib.suppress(redis.exceptions.RedisError):
                    return bool(await client.ping())
            return False

        await eventually(answers, READY_S)

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def command(self, *words: Any) -> Any:
        """Carry out one command on this server, wherever its keys lie."""
        async with self.client() as client:
            return await client.execute_command(*words)  # type: ignore[no-untyped-call]

    async def about(self) -> dict[str, str]:
        """CLUSTER INFO as this server sees it."""
        return dict(await self.command("CLUSTER INFO"))


class RedisCluster:
    """Three primaries without replicas, which share the slots evenly."""

    def __init__(self, primaries: Sequence[Primary]) -> None:
        self.primaries = primaries

    @property
    def url(self) -> str:
        """The URL that names all of them."""
        return "redis+cluster://" + ",".join(primary.place for primary in self.primaries)

    def of(self, key: str) -> Primary:
        """The primary that serves a key, as the slots were shared out."""
        return self.primaries[_owner(slot_of(key))]

    async def start(self) -> None:
        """Start all, have them meet and share out the slots."""
        for number, primary in enumerate(self.primaries):
            await primary.start()
            mine = [slot for slot in range(SLOTS) if _owner(slot) == number]
            await primary.command("CLUSTER ADDSLOTSRANGE", mine[0], mine[-1])
            await primary.command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        first = self.primaries[0]
        for other in self.primaries[1:]:
            # Valkey and Redis take the bus port where it is not the usual one.
            await first.command("CLUSTER MEET", "127.0.0.1", other.port, other.bus_port)
        await self.whole()

    async def whole(self) -> None:
        """Wait until each primary sees all of them."""

        async def agreed() -> bool:
            seen = [await primary.about() for primary in self.primaries]
            return all(
                one["cluster_state"] == "ok"
                and int(one["cluster_slots_ok"]) == SLOTS
                and int(one["cluster_size"]) == PRIMARIES
                for one in seen
            )

        await eventually(agreed, READY_S)

    async def move(self, key: str, to: Primary) -> None:
        """Move the slot of a key, with all that lies in it, from its primary to another."""
        slot, source = slot_of(key), self.of(key)
        ids = {one.port: (await one.command("CLUSTER MYID")).decode() for one in (source, to)}
        await to.command("CLUSTER SETSLOT", slot, "IMPORTING", ids[source.port])
        await source.command("CLUSTER SETSLOT", slot, "MIGRATING", ids[to.port])
        while keys := await source.command("CLUSTER GETKEYSINSLOT", slot, 100):
            await source.command("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)
        for one in (to, *self.primaries):
            await one.command("CLUSTER SETSLOT", slot, "NODE", ids[to.port])

    async def close(self) -> None:
        """End all of them."""
        for primary in self.primaries:
            await primary.kill()


def _owner(slot: int) -> int:
    return slot * PRIMARIES // SLOTS


@contextlib.asynccontextmanager
async def redis_cluster(directory: Path) -> AsyncIterator[RedisCluster]:
    """A cluster of the test's own, empty."""
    ports = free_ports(2 * PRIMARIES)
    cluster = RedisCluster(
        [
            Primary(directory / f"primary-{number}", ports[number], ports[PRIMARIES + number])
            for number in range(PRIMARIES)
        ]
    )
    try:
        await cluster.start()
        yield cluster
    finally:
        await cluster.close()
