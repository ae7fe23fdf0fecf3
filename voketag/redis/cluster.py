"""A Redis Cluster, used as if it were one Redis: each command goes to the primary that serves the
slot of its key, and the commands of a pipeline to all that are meant, at the same time.

Nothing is sent a second time but what a server said it did not do, because the slot is another's.
Why this is not redis-py's own client of clusters: docs/decisions/0024-redis-cluster.md.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import (
    ClusterDownError,
    ConnectionError,
    MovedError,
    ResponseError,
    TimeoutError,
)

from voketag.errors import SettingsError
from voketag.redis.slots import Key, key_of, place_of, server_urls, serving, slot_of, url_at

LOOK_AGAIN_AFTER_S = 0.5  # at most so often, while servers fail
_FAILS = (OSError, ConnectionError, TimeoutError)

Queued = tuple[tuple[Any, ...], Mapping[str, Any]]


class Cluster(Redis):
    """The cluster that `url` names; `connect` makes the client of one of its servers."""

    def __init__(self, url: str, connect: Callable[[str], Redis]) -> None:
        super().__init__()  # of its parts only what words commands is used; it never connects
        self._named = server_urls(url)
        self._connect = connect
        self._servers: dict[str, Redis] = {}
        self._table: list[str | None] = []
        self._looking: asyncio.Task[None] | None = None

    async def aclose(self, close_connection_pool: bool | None = None) -> None:  # noqa: ARG002
        """Close every connection."""
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking
        for server in self._servers.values():
            await server.aclose()

    # ------------------------------------------------------------------ which server

    def place(self, server: Redis) -> str:
        """The host and port of one of the servers, for people."""
        return next(place_of(url) for url, one in self._servers.items() if one is server)

    async def serving(self, key: Key) -> Redis:
        """The primary that serves a key."""
        return self._server(await self._url_of(slot_of(key)))

    async def primaries(self) -> list[Redis]:
        """Every primary that serves slots."""
        if not self._table:
            await self._look()
        return [self._server(url) for url in dict.fromkeys(filter(None, self._table))]

    async def anyone(self) -> Redis:
        """A primary that answers; of several the first."""
        failed: Exception = ClusterDownError("no server serves anything")
        for server in await self.primaries():
            try:
                await server.ping()
            except _FAILS as error:
                failed = error
            else:
                return server
        raise failed

    def stale(self) -> None:
        """A server failed: see, beside what goes on, who serves what now."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_again())

    def _server(self, url: str) -> Redis:
        server = self._servers.get(url)
        if server is None:
            server = self._servers[url] = self._connect(url)
        return server

    async def _url_of(self, slot: int) -> str:
        if not self._table:
            await self._look()
        url = self._table[slot]
        if url is None:
            self.stale()
            raise ClusterDownError(f"no server serves the slot {slot}")
        return url

    async def _look(self) -> None:
        """Ask one server after another, until one knows."""
        failed: Exception | None = None
        for url in dict.fromkeys([*self._servers, *self._named]):
            try:
                reply = await _command(self._server(url), "CLUSTER", "SLOTS")
            except _FAILS as error:
                self._last(url)
                failed = error
            except ResponseError as error:
                if "cluster support disabled" in str(error):
                    fault = f"VOKETAG_REDIS_URL: {place_of(url)} is no cluster: write redis://."
                    raise SettingsError([fault]) from error
                failed = error
            else:
                if reply:
                    self._table = serving(reply, url)
                    return
        raise ConnectionError(f"no server of the cluster answers: {failed}") from failed

    async def _look_again(self) -> None:
        with contextlib.suppress(*_FAILS, SettingsError):
            await self._look()
        await asyncio.sleep(LOOK_AGAIN_AFTER_S)

    def _last(self, url: str) -> None:
        """Ask a server that failed only after the others."""
        if url in self._servers:
            self._servers[url] = self._servers.pop(url)

    def _failed(self, url: str) -> None:
        self._last(url)
        self.stale()

    def _moved(self, url: str, moved: MovedError) -> None:
        self._table[moved.slot_id] = url_at(url, moved.host, moved.port)
        self.stale()

    # ------------------------------------------------------------------ commands

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Carry out one command where its key lies."""
        if args[0] == "PING":
            await self.anyone()
            return True
        if args[0] == "SCRIPT LOAD":
            return await self._load(args)
        key = key_of(args)
        if key is None:
            raise TypeError(f"{args[0]} is asked of a server, not of a cluster")
        slot = slot_of(key)
        try:
            return await self._at(await self._url_of(slot), args, options)
        except MovedError:  # it was not carried out there
            return await self._at(await self._url_of(slot), args, options)

    async def _at(self, url: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        try:
            return await _command(self._server(url), *args, **options)
        except MovedError as moved:
            self._moved(url, moved)
            raise
        except _FAILS:
            self._failed(url)
            raise

    async def _load(self, args: tuple[Any, ...]) -> Any:
        """Have every primary know a script. One that is away is told when it is found not to."""
        loading = [_command(server, *args) for server in await self.primaries()]
        told = await asyncio.gather(*loading, return_exceptions=True)
        loaded = [reply for reply in told if not isinstance(reply, BaseException)]
        if not loaded:
            raise ConnectionError(f"no server of the cluster answers: {told[0]}")
        return loaded[0]

    def pipeline(
        self,
        transaction: bool = True,
        shard_hint: str | None = None,  # noqa: ARG002
    ) -> Pipeline:
        """Commands to be sent together; a transaction's keys lie in one slot."""
        return _Divided(self, transaction)

    async def carry_out(
        self, commands: Sequence[Queued], scripts: Iterable[Any], transaction: bool
    ) -> list[Any]:
        """The replies of a pipeline's commands, in their order, refusals among them. Raises what
        befell a connection; the commands that went elsewhere are carried out then all the same.
        """
        replies: list[Any] = [None] * len(commands)
        left: Sequence[int] = range(len(commands))
        for _ in range(2):  # what has moved was not carried out: it is sent once more
            parts: dict[str, list[int]] = defaultdict(list)
            for at in left:
                key = key_of(commands[at][0])
                if key is None:
                    raise TypeError(f"{commands[at][0][0]} is asked of a server")
                parts[await self._url_of(slot_of(key))].append(at)
            sending = [
                self._part(url, [commands[at] for at in part], scripts, transaction)
                for url, part in parts.items()
            ]
            told = await asyncio.gather(*sending, return_exceptions=True)
            for part, given in zip(parts.values(), told, strict=True):
                if isinstance(given, BaseException):
                    raise given
                for at, reply in zip(part, given, strict=True):
                    replies[at] = reply
            left = [at for at in left if isinstance(replies[at], MovedError)]
        return replies

    async def _part(
        self, url: str, commands: Sequence[Queued], scripts: Iterable[Any], transaction: bool
    ) -> list[Any]:
        async with self._server(url).pipeline(transaction=transaction) as pipeline:
            pipeline.scripts.update(scripts)
            for args, options in commands:
                pipeline.execute_command(*args, **options)
            try:
                replies: list[Any] = await pipeline.execute(raise_on_error=False)
            except MovedError as moved:
                self._moved(url, moved)
                raise
            except _FAILS:
                self._failed(url)
                raise
        for reply in replies:
            if isinstance(reply, MovedError):
                self._moved(url, reply)
        return replies


class _Divided(Pipeline):
    """A pipeline whose commands go to several servers."""

    def __init__(self, cluster: Cluster, transaction: bool) -> None:
        super().__init__(
            cluster.connection_pool, cluster.response_callbacks, transaction, shard_hint=None
        )
        self._cluster = cluster

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        commands, scripts = self.command_stack, self.scripts
        await self.reset()  # type: ignore[no-untyped-call]
        replies = await self._cluster.carry_out(commands, scripts, self.is_transaction)
        if raise_on_error:
            self.raise_first_error(commands, replies)
        return replies


async def _command(server: Redis, *args: Any, **options: Any) -> Any:
    return await server.execute_command(*args, **options)  # type: ignore[no-untyped-call]


# ---------------------------------------------------------------------- for one Redis or a cluster


async def primaries(redis: Redis) -> list[Redis]:
    """Every server that takes writes: of one Redis itself."""
    return await redis.primaries() if isinstance(redis, Cluster) else [redis]


async def anyone(redis: Redis) -> Redis:
    """A server that answers, for what any of them can do: of one Redis itself, unasked."""
    return await redis.anyone() if isinstance(redis, Cluster) else redis


async def by_server(redis: Redis, keys: Sequence[str]) -> list[tuple[Redis, list[str]]]:
    """The keys with the server that each lies on, each server once."""
    if not isinstance(redis, Cluster):
        return [(redis, list(keys))]
    parts: dict[Redis, list[str]] = defaultdict(list)
    for key in keys:
        parts[await redis.serving(key)].append(key)
    return list(parts.items())


def place(redis: Redis, server: Redis) -> str:
    """Which server of a cluster it is, for people; of one Redis nothing."""
    return f" ({redis.place(server)})" if isinstance(redis, Cluster) else ""
