"""Which errors of a Redis mean that it is to be waited for, and that nothing is sent twice."""

from __future__ import annotations

import asyncio

import pytest
from redis.exceptions import ClusterDownError, ResponseError, TryAgainError

from voketag.errors import Unavailable
from voketag.redis import connection


async def test_a_redis_that_lacks_its_replicas_is_waited_for(redis_url: str) -> None:
    """Alone, in a pipeline, and in a script it says so in other words each time."""
    async with connection.connect(redis_url) as redis, redis.pipeline(False) as several:
        several.get("a")
        several.set("a", 1)
        await redis.config_set("min-replicas-to-write", 1)
        try:
            with pytest.raises(Unavailable):
                async with connection.redis_errors():
                    await redis.set("a", 1)
            with pytest.raises(Unavailable):
                async with connection.redis_errors():
                    await several.execute()
            with pytest.raises(Unavailable):
                async with connection.redis_errors():
                    await redis.eval("return redis.call('SET', KEYS[1], 1)", 1, "a")
        finally:
            await redis.config_set("min-replicas-to-write", 0)


@pytest.mark.parametrize("error", [ClusterDownError("no slots"), TryAgainError("resharding")])
def test_a_cluster_that_is_put_together_is_waited_for(error: Exception) -> None:
    """The library takes the code off these messages."""
    assert connection.means_wait(error)


@pytest.mark.parametrize("text", ["WRONGTYPE of value", "BUSYGROUP Consumer Group exists"])
def test_a_command_that_is_wrong_stays_an_error(text: str) -> None:
    assert not connection.means_wait(ResponseError(text))


async def test_f3_the_library_never_sends_a_command_twice() -> None:
    """A lost reply is the caller's to judge."""
    sent = 0

    async def lose(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while data := await reader.read(65536):
            if b"XADD" in data:
                sent += 1
                break
            writer.write(b"+OK\r\n" * data.count(b"CLIENT"))
        writer.close()

    server = await asyncio.start_server(lose, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, connection.connect(f"redis://127.0.0.1:{port}") as redis:
        with pytest.raises(Unavailable):
            async with connection.redis_errors():
                await redis.xadd("scans:{0}", {"event": "1"})
    assert sent == 1
