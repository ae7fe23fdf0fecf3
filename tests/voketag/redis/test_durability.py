"""A Redis that can lose what it acknowledged is refused, with what to change."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.factory_floor import until
from tests.replica import replica_of
from tests.servers import Servers
from voketag.errors import SettingsError, Unavailable
from voketag.redis.connection import connect
from voketag.redis.durability import DURABLE, refuse_forgetful, running_faults

FORGETFUL = [("appendfsync", "everysec"), ("appendonly", "no"), ("maxmemory-policy", "allkeys-lru")]


@pytest.mark.parametrize(("name", "forgetful"), FORGETFUL)
async def test_f1_a_forgetful_redis_is_refused(redis_url: str, name: str, forgetful: str) -> None:
    async with connect(redis_url) as redis:
        await refuse_forgetful(redis, None)
        await redis.config_set(name, forgetful)
        try:
            with pytest.raises(SettingsError, match="CONFIG SET " + name):
                await refuse_forgetful(redis, None)
            (fault,) = await running_faults(redis, 0)
            assert f"CONFIG SET {name} {DURABLE[name]}" in fault
        finally:
            await redis.config_set(name, DURABLE[name])
        await refuse_forgetful(redis, None)
        assert await running_faults(redis, 0) == ()


async def test_a_redis_that_is_not_there_is_waited_for(redis_url: str, servers: Servers) -> None:
    async with connect(redis_url) as redis:
        await servers.stop("redis")
        with pytest.raises(Unavailable):
            await refuse_forgetful(redis, None)
        with pytest.raises(Unavailable):
            await running_faults(redis, 1)
        await servers.start("redis")
        await refuse_forgetful(redis, None)


async def test_f2_where_there_are_replicas_somebody_says_how_many_count(
    redis_url: str, tmp_path: Path
) -> None:
    async with connect(redis_url) as redis:
        await refuse_forgetful(redis, None)  # nobody follows: nothing to say
        async with replica_of(redis_url, tmp_path):
            with pytest.raises(SettingsError, match="VOKETAG_REDIS_REPLICAS is not set"):
                await refuse_forgetful(redis, None)
            for said in (0, 1, 2):
                await refuse_forgetful(redis, said)


async def test_f2_a_replica_that_does_not_follow_counts_for_nothing(
    redis_url: str, tmp_path: Path
) -> None:
    async with connect(redis_url) as redis, replica_of(redis_url, tmp_path) as replica:

        async def follows() -> bool:
            return await running_faults(redis, 1) == ()

        await until(follows, "one replica that follows")
        assert await running_faults(redis, 2) == (
            "1 of the 2 replicas asked for follow this Redis.",
        )
        replica.stall()

        async def missed() -> bool:
            return not await follows()

        await until(missed, "the stalled replica missed")
        assert await running_faults(redis, 0) == ()
        replica.resume()
        await until(follows, "the replica caught up")
