"""One script, called by many at once: concurrent calls share a pipeline, and so one fsync.

Each caller gets its own reply, or its own error. What is held is bounded: a pipeline by count and
by bytes, so that none blocks the event loop or Redis for long, and what waits by count, so that a
Redis that stalls does not fill this process instead. While many calls are under way the next ones
wait for each other: two pipelines would be half as large, and an fsync costs a server as much as
several scans do. While few are, a call goes at once, and finds Redis with nothing else to wait for.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from voketag.errors import Overloaded, Unavailable
from voketag.redis.connection import means_wait, pack, redis_errors
from voketag.redis.exchange import Exchange

MANY_CALLS = 8  # under way; of fewer an fsync each is no burden
MAX_CALLS = 256
MAX_BYTES = 1 << 20
MAX_WAITING = 10_000  # a second's worth of scans
REPLICAS_WAIT_MS = 1000  # well below the time a command may take

Arguments = list[bytes | str | int]
_Call = tuple[bytes, asyncio.Future[Any]]  # the packed command, and the reply to come


class SharedPipeline:
    """Calls of one script with `key_count` keys.

    With `replicas` each pipeline ends with one WAIT: where fewer of them acknowledge what was
    written, every call of it is Unavailable, and may have happened or not.
    """

    def __init__(self, redis: Redis, script: bytes, key_count: int, replicas: int) -> None:
        self._redis = redis
        self._load = pack(("SCRIPT", "LOAD", script))
        self._head = ("EVALSHA", hashlib.sha1(script, usedforsecurity=False).hexdigest(), key_count)
        self._wait = pack(("WAIT", replicas, REPLICAS_WAIT_MS))
        self._replicas = replicas
        self._waiting: deque[_Call] = deque()
        self._under_way = 0  # calls that were sent and are not answered
        self._flushing = False
        self._exchange: Exchange | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._unloaded = True  # whether the server may not know the script
        self._idle = asyncio.Event()
        self._idle.set()

    async def close(self) -> None:
        """Wait for what was called, then close the connection."""
        await self._idle.wait()
        if self._exchange is not None:
            self._exchange.close()

    def call(self, arguments: Arguments) -> asyncio.Future[Any]:
        """The reply to come: keys first, then arguments. Raises Overloaded where too many wait; the
        future raises Unavailable, or the error that the script gave.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise Overloaded(f"{MAX_WAITING} calls wait for Redis already")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((pack((*self._head, *arguments)), future))
        self._idle.clear()
        if self._may_send() and not self._flushing:  # once all of this turn of the loop have called
            self._flushing = True
            loop.call_soon(self._flush)
        return future

    def _may_send(self) -> bool:
        return self._under_way < MANY_CALLS

    def _flush(self) -> None:
        """Send what waits, as far as it may; what arrives meanwhile shares the next pipeline."""
        self._flushing = False
        if not self._may_send():
            return
        if not self._waiting:
            if not self._under_way:
                self._idle.set()
        elif self._exchange is not None and self._exchange.open:
            self._send(self._exchange, self._next())
        elif self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())

    async def _connect(self) -> None:
        """Open a connection. Where that fails, so does all that waits."""
        try:
            async with redis_errors():
                connection = await self._redis.connection_pool.get_connection()  # type: ignore[no-untyped-call]
            self._exchange, self._unloaded = Exchange(connection), True
        except Exception as error:
            while self._waiting:
                _tell(self._waiting.popleft()[1], error)
        finally:
            self._connecting = None
        self._flush()

    def _next(self) -> list[_Call]:
        """What fits into one pipeline, at least one call."""
        batch: list[_Call] = []
        size = 0
        while self._waiting and len(batch) < MAX_CALLS:
            size += len(self._waiting[0][0])
            if batch and size > MAX_BYTES:
                break
            batch.append(self._waiting.popleft())
        return batch

    def _send(self, exchange: Exchange, batch: list[_Call]) -> None:
        commands = [packed for packed, _ in batch]
        if self._unloaded:
            commands.insert(0, self._load)
        if self._replicas:
            commands.append(self._wait)
        exchange.send(commands, partial(self._answered, batch, self._unloaded))
        self._under_way += len(batch)
        self._unloaded = False

    def _answered(self, batch: list[_Call], loaded: bool, replies: list[Any] | Exception) -> None:
        """Tell each caller its own reply. What a server without the script has refused it did not
        run: that is sent again, once, behind the script.
        """
        self._under_way -= len(batch)
        if isinstance(replies, Exception):
            replies = [replies] * len(batch)
        else:
            if loaded:
                del replies[0]
            if self._replicas:
                replies = self._held_by_replicas(replies, replies.pop())
        for call, reply in zip(reversed(batch), reversed(replies), strict=True):
            if isinstance(reply, NoScriptError) and not loaded:
                self._waiting.appendleft(call)
                self._unloaded = True
            else:
                _tell(call[1], reply)
        self._flush()

    def _held_by_replicas(self, replies: Sequence[Any], holding: Any) -> list[Any]:
        """The replies, or, where too few replicas hold what was written, that error in place of
        each. WAIT speaks of the writes of its own connection: a call that relies on what another
        one has written has to write as well.
        """
        if isinstance(holding, int) and holding >= self._replicas:
            return list(replies)
        said = f"{holding} of {self._replicas} replicas hold it"
        return [
            reply if isinstance(reply, Exception) else Unavailable(f"redis: {said}")
            for reply in replies
        ]


def _tell(future: asyncio.Future[Any], reply: Any) -> None:
    """Give one caller its reply, or what its error means: a full server, one that is gone."""
    with contextlib.suppress(asyncio.InvalidStateError):  # the caller has gone
        if not isinstance(reply, Exception):
            future.set_result(reply)
        elif means_wait(reply):
            future.set_exception(Unavailable(f"redis: {reply}"))
        else:
            future.set_exception(reply)
