"""VokeTag and a peer as factories, each started in an empty folder."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from benchmarks.factories.factory import Factory
from benchmarks.peers.peer import Peer
from benchmarks.systems import peer as peers
from benchmarks.systems import voketag as our_system
from voketag.stack.home import make_private

# Two processes make batches, one for each core of the machines that this was measured on; the peer
# has four.
REGISTERS = 2
_VARIABLES = {"VOKETAG_BATCH_RATE_LIMIT": "0", "VOKETAG_FORMATION": f"register={REGISTERS}"}


@contextlib.asynccontextmanager
async def voketag(folder: Path) -> AsyncIterator[Factory]:
    """The whole system with a factory's key, its batches not limited; ended with the context."""
    async with (
        our_system.running(folder, _VARIABLES) as whole,
        aiohttp.ClientSession() as session,
    ):
        made = await whole.api.ops.create_factory("Benchmark", "benchmark@example.com")
        yield Factory(
            our_system.NAME,
            f"{whole.api.where.factory}/v1/batches",
            {"Authorization": f"Bearer {made.api_key}"},
            session,
            whole.database,
            "batch_id",
            whole.servers,
            whole.programs,
            whole.program_names,
        )


@contextlib.asynccontextmanager
async def peer(one: Peer, folder: Path) -> AsyncIterator[Factory]:
    """A peer, which anchors nothing; ended with the context. Raises Missing."""
    built = make_private(folder / "built")
    if one.build is not None:
        one.build(built)
    async with peers.running(one, built, folder) as whole, aiohttp.ClientSession() as session:
        yield Factory(
            one.name,
            f"{whole.url}/v1/batches",
            {},
            session,
            whole.database,
            "id",
            whole.servers,
            whole.programs,
            whole.program_names,
        )
