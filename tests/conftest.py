"""Fixtures of all tests: real servers, emptied or made anew for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest
import redis.asyncio

from tests.servers import Servers, binaries
from voketag.stack import chain
from voketag.stack.home import choose_port, make_home, make_private
from voketag.stack.supervise import Supervisor

# Time is no property: a busy machine may take long for one example.
hypothesis.settings.register_profile("voketag", deadline=None)
hypothesis.settings.load_profile("voketag")


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The stack of this test process. A test that breaks one of its servers finds it mended."""
    running = Servers(tmp_path_factory.mktemp("stack") / "home")
    running.open()
    yield running
    running.close()


@pytest.fixture
async def redis_url(servers: Servers) -> str:
    """An empty Redis."""
    await servers.whole_again()
    async with redis.asyncio.Redis.from_url(servers.redis_url) as client:
        await client.flushall()
        await client.script_flush()
    return servers.redis_url


@pytest.fixture
async def database_url(servers: Servers) -> AsyncIterator[str]:
    """A database of this test's own, with the schema and no rows."""
    await servers.whole_again()
    url = await servers.create_database()
    yield url
    await servers.whole_again()
    await servers.drop_database(url)


@pytest.fixture
async def chain_url(tmp_path: Path) -> AsyncIterator[str]:
    """A chain of this test's own at block 0, which makes a block for every transaction."""
    home = make_home(tmp_path / "chain_home")
    make_private(home / "logs")
    supervisor = Supervisor(home, {})
    binary = binaries().chain or chain.find_binary()
    server = chain.server(home, choose_port(home, "chain"), 1, binary, supervisor.report)
    await supervisor.start(server.program)
    yield server.url
    await supervisor.stop()
