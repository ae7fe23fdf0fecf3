"""A consumer's hop on a server in cluster mode, which refuses to touch two hash slots at once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis.exceptions
from redis.asyncio import Redis

from tests.consuming import (
    GROUP,
    OUT,
    STREAM,
    consumer_of,
    number,
    passed_on,
    process,
    publish,
    until_idle,
    until_passed_on,
)
from tests.servers import binaries, eventually
from voketag.errors import Rejected
from voketag.redis import intake
from voketag.redis.connection import Command
from voketag.redis.dead_letters import oldest, redrive
from voketag.redis.stream_status import read_status
from voketag.redis.streams import Entry, add
from voketag.redis.trimming import trim
from voketag.risk.history import History
from voketag.stack.redis import find_binary

SLOTS = 16384


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.fixture
async def cluster_url(tmp_path: Path) -> AsyncIterator[str]:
    """A cluster of one server, which serves every slot."""
    port, bus_port = free_port(), free_port()
    arguments = f"--port {port} --cluster-port {bus_port} --bind 127.0.0.1 --dir {tmp_path}"
    running = await asyncio.create_subprocess_exec(
        str(binaries().redis or find_binary()),
        *arguments.split(),
        *("--save", "", "--cluster-enabled", "yes"),
        stdout=asyncio.subprocess.DEVNULL,
    )
    url = f"redis://127.0.0.1:{port}/0"
    async with Redis.from_url(url) as client:
        command: Any = client.execute_command

        async def answers() -> bool:
            try:
                return bool(await client.ping())
            except redis.exceptions.ConnectionError:
                return False

        async def serves() -> bool:
            about = await command("CLUSTER INFO")
            return bool(about["cluster_state"] == "ok")

        try:
            await eventually(answers)
            await command("CLUSTER ADDSLOTSRANGE", 0, SLOTS - 1)
            await eventually(serves)
            with pytest.raises(redis.exceptions.ResponseError, match="slot"):
                await command("MGET", "a", "b")
            yield url
        finally:
            running.terminate()
            await running.wait()


async def test_f30_a_consumers_hop_stays_in_one_hash_slot(cluster_url: str) -> None:
    """Own, read, score with what follows from it, bury, redrive, look, trim."""
    refused = True

    async def handle(entries: Sequence[Entry]) -> Sequence[Command]:
        if refused and any(number(entry) == 3 for entry in entries):
            raise Rejected("not today")
        history = intake.remember(0, uuid4(), History())
        return [add(OUT, entry.fields or {}) for entry in entries] + [history]

    async with Redis.from_url(cluster_url) as client:
        await publish(client, range(6))
        async with process(cluster_url, "a", consumer_of(handle)):
            await until_passed_on(client, 5)
            await until_idle(client)
            ((letter),) = await oldest(client, STREAM, 10)
            refused = False
            assert await redrive(client, STREAM, letter.entry_id) is not None
            await until_passed_on(client, 6)
            await until_idle(client)
            (status,) = await read_status(client, {STREAM: (GROUP,)}, 60_000)
            assert (status.length, status.dead, status.groups[0].consumers) == (7, 0, 1)
        assert await passed_on(client) == [0, 1, 2, 4, 5, 3]
        assert await trim(client, STREAM, (GROUP,), 0) == 7
