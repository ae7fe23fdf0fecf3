"""Whether a Redis keeps what it acknowledges, looked at when a process starts and while it runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from voketag.errors import SettingsError
from voketag.redis.cluster import place, primaries
from voketag.redis.connection import redis_errors, those_that_answer

# What makes an acknowledged write survive a crash of the server, and never be evicted.
DURABLE = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
REPLICA_LAG_MAX_S = 3  # a replica that follows reports each second


async def refuse_forgetful(redis: Redis, replicas: int | None) -> None:
    """Raises SettingsError for a Redis that can lose a write it has acknowledged, saying what to
    change there, or for one with replicas where nobody has said how many must hold a scan. Raises
    Unavailable where it does not answer; of a cluster, where no primary does: those that are away
    are looked at once they are back, by whoever accepts scans.
    """
    faults = await _of_primaries(redis, partial(_start_faults, replicas))
    if faults:
        raise SettingsError(faults)


async def _start_faults(replicas: int | None, redis: Redis, name: str) -> list[str]:
    faults = await configuration_faults(redis, name)
    if replicas is None and (connected := (await _replication(redis))["connected_slaves"]):
        faults.append(
            f"VOKETAG_REDIS_REPLICAS is not set, and this Redis{name} has {connected} connected: "
            "set it to the number of replicas that must acknowledge a scan before it is answered, "
            "or to 0 to accept that a failover may lose answered scans."
        )
    return faults


async def running_faults(redis: Redis, replicas: int) -> tuple[str, ...]:
    """What lets this Redis lose a write it acknowledges now: its configuration was changed, another
    server took its place, fewer than `replicas` follow it. Raises Unavailable, of a cluster where
    no primary answers: one that is away takes no scans.
    """
    return tuple(await _of_primaries(redis, partial(_running_faults, replicas)))


async def _running_faults(replicas: int, redis: Redis, name: str) -> list[str]:
    faults = await configuration_faults(redis, name)
    if replicas:
        about = await _replication(redis)
        known = [about[f"slave{number}"] for number in range(about["connected_slaves"])]
        following = sum(
            one["state"] == "online" and one["lag"] <= REPLICA_LAG_MAX_S for one in known
        )
        if following < replicas:
            faults.append(
                f"{following} of the {replicas} replicas asked for follow this Redis{name}."
            )
    return faults


async def _of_primaries(
    redis: Redis, faults_of: Callable[[Redis, str], Awaitable[list[str]]]
) -> list[str]:
    """The faults of every primary that answers. Raises Unavailable where none does."""
    async with redis_errors():
        servers = await primaries(redis)
    told = await those_that_answer(faults_of(one, place(redis, one)) for one in servers)
    return [fault for faults in told for fault in faults]


async def configuration_faults(redis: Redis, name: str = "") -> list[str]:
    """What is wrong with the configuration of one server, called `name` if it is one of several,
    and how to mend it. Raises Unavailable.
    """
    async with redis_errors():
        try:
            found: dict[str | None, str | None] = {}
            for directive in DURABLE:
                found |= await redis.config_get(directive)
        except ResponseError as error:
            return [
                f"VOKETAG_REDIS_URL: this Redis{name} does not tell whether it keeps what it "
                f"acknowledges ({error}). See to it that it does, then set "
                "VOKETAG_REDIS_MAY_LOSE=yes."
            ]
    wrong = {name: found.get(name) for name, wanted in DURABLE.items() if found.get(name) != wanted}
    if not wrong:
        return []
    are = ", ".join(f"{name} is {value!r}" for name, value in wrong.items())
    mend = "; ".join(f"CONFIG SET {name} {DURABLE[name]}" for name in wrong)
    return [
        f"VOKETAG_REDIS_URL: this Redis{name} can lose a write it has acknowledged: {are}. Mend it "
        f"({mend}, and in its configuration file), or accept the loss of answered scans with "
        "VOKETAG_REDIS_MAY_LOSE=yes."
    ]


async def _replication(redis: Redis) -> dict[str, Any]:
    async with redis_errors():
        about: dict[str, Any] = await redis.info("replication")
    return about
