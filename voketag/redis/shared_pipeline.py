"""One script, called by many at once: concurrent calls share a pipeline, and so one fsync.

Each caller gets its own reply, or its own error. What is held is bounded: a pipeline by count and
by bytes, so that none blocks the event loop or Redis for long, and what waits by count, so that a
Redis that stalls does not fill this process instead.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections import deque
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Connection, Redis
from redis.exceptions import NoScriptError, ResponseError

from voketag.errors import Overloaded, Unavailable
from voketag.redis.connection import COMMAND_TIMEOUT_S, Command, means_wait, redis_errors

AT_ONCE = 2  # one is prepared, and its replies are told, while the server works on the other
MAX_CALLS = 256
MAX_BYTES = 1 << 20
MAX_WAITING = 10_000  # a second's worth of scans
REPLICAS_WAIT_MS = 1000  # well below the time a command may take

Arguments = list[bytes | str | int]


class SharedPipeline:
    """Calls of one script with `key_count` keys.

    With `replicas` each pipeline ends with one WAIT: where fewer of them acknowledge what was
    written, every call of it is Unavailable, and may have happened or not.
    """

    def __init__(self, redis: Redis, script: bytes, key_count: int, replicas: int) -> None:
        self._redis = redis
        self._script = script.decode()
        self._sha1 = hashlib.sha1(script, usedforsecurity=False).hexdigest()
        self._key_count = key_count
        self._replicas = replicas
        self._waiting: deque[tuple[Arguments, asyncio.Future[Any]]] = deque()
        self._flushing: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Send what waits."""
        await asyncio.gather(*self._flushing)

    def call(self, arguments: Arguments) -> asyncio.Future[Any]:
        """The reply to come: keys first, then arguments. Raises Overloaded where too many wait; the
        future raises Unavailable, or the error that the script gave.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise Overloaded(f"{MAX_WAITING} calls wait for Redis already")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((arguments, future))
        if len(self._flushing) < AT_ONCE:
            task = asyncio.create_task(self._flush())
            self._flushing.add(task)
            task.add_done_callback(self._flushing.discard)
        return future

    async def _flush(self) -> None:
        """Send all that waits, a pipeline at a time; what arrives meanwhile shares the next one."""
        while self._waiting:
            batch = self._next()
            try:
                async with redis_errors():
                    replies = await self._evaluate([arguments for arguments, _ in batch])
            except Exception as error:
                replies = [error] * len(batch)
            for (_, future), reply in zip(batch, replies, strict=True):
                if future.done():
                    continue  # its caller has gone
                if isinstance(reply, Exception):
                    future.set_exception(_as_failure(reply))
                else:
                    future.set_result(reply)

    def _next(self) -> list[tuple[Arguments, asyncio.Future[Any]]]:
        """What fits into one pipeline, at least one call."""
        batch: list[tuple[Arguments, asyncio.Future[Any]]] = []
        size = 0
        while self._waiting and len(batch) < MAX_CALLS:
            size += sum(len(word) for word in self._waiting[0][0] if not isinstance(word, int))
            if batch and size > MAX_BYTES:
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _evaluate(self, calls: Sequence[Arguments]) -> list[Any]:
        replies = await self._pipeline(calls)
        unsent = [n for n, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unsent:  # a server that was restarted; what it refused it did not run
            await self._redis.script_load(self._script)
            again = await self._pipeline([calls[n] for n in unsent])
            for n, reply in zip(unsent, again, strict=True):
                replies[n] = reply
        return replies

    async def _pipeline(self, calls: Sequence[Arguments]) -> list[Any]:
        commands: list[Command] = [
            ("EVALSHA", self._sha1, self._key_count, *arguments) for arguments in calls
        ]
        if self._replicas:
            commands.append(("WAIT", self._replicas, REPLICAS_WAIT_MS))
        replies = await self._exchange(commands)
        if self._replicas:
            replies = self._held_by_replicas(replies[:-1], replies[-1])
        return replies

    async def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands, and give their replies, an error in place of each that failed.

        Over a connection itself: the library's pipeline spends as long on a command as its script
        takes, not least on a timeout of its own for every reply.
        """
        pool = self._redis.connection_pool
        connection: Connection = await pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                await connection.send_packed_command(connection.pack_commands(commands))
                return [await _reply(connection) for _ in commands]
        finally:
            await pool.release(connection)

    def _held_by_replicas(self, replies: list[Any], holding: Any) -> list[Any]:
        """The replies, or, where too few replicas hold what was written, that error in place of
        each. WAIT speaks of the writes of its own connection: a call that relies on what another
        one has written has to write as well.
        """
        if isinstance(holding, int) and holding >= self._replicas:
            return replies
        said = f"{holding} of {self._replicas} replicas hold it"
        return [
            reply if isinstance(reply, Exception) else Unavailable(f"redis: {said}")
            for reply in replies
        ]


async def _reply(connection: Connection) -> Any:
    try:
        return await connection.read_response(timeout=math.inf)
    except ResponseError as error:
        return error


def _as_failure(error: Exception) -> Exception:
    """What one caller is told of an error in its own reply: a full server, a read-only one."""
    return Unavailable(f"redis: {error}") if means_wait(error) else error
