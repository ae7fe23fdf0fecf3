"""The notices of all factories as one process hears them: one Pub/Sub connection for all listeners.

A notice can be missed where the connection was lost or a listener is slow. Then the listeners are
ended rather than left with a gap they cannot see; they come back and ask for what they missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from voketag import events, notices
from voketag.errors import Rejected, Unavailable
from voketag.events import Notice
from voketag.redis.cluster import anyone
from voketag.redis.connection import connect, redis_errors

CONNECT_WAIT_S = 2.0
RETRY_S = 0.5
PING_EVERY_S = 5.0
SILENCE_MAX_S = 15.0
_POLL_S = 1.0
log = structlog.get_logger()


@dataclass(frozen=True, eq=False, slots=True)
class Listener:
    """Who hears: `offer` takes a notice and never waits, False where the listener is too slow and
    was ended; `end` ends it.
    """

    offer: Callable[[Notice], bool]
    end: Callable[[], None]


class NoticeFeed:
    """Hands each notice to the listeners of its factory, while `run` runs."""

    def __init__(self, url: str) -> None:
        self._redis = connect(url)
        self._listeners: dict[UUID, set[Listener]] = {}
        self._connected = asyncio.Event()

    @contextlib.contextmanager
    def listening(self, factory_id: UUID, listener: Listener) -> Iterator[None]:
        """Hand one factory's notices to a listener, while the context lasts."""
        self._listeners.setdefault(factory_id, set()).add(listener)
        try:
            yield
        finally:
            self._leave(factory_id, listener)

    async def connected(self) -> None:
        """Raises Unavailable where notices are not being heard, and are not soon."""
        try:
            async with asyncio.timeout(CONNECT_WAIT_S):
                await self._connected.wait()
        except TimeoutError:
            raise Unavailable("redis: notices are not heard at the moment") from None

    async def run(self) -> None:
        """Hear notices until cancelled, again and again where Redis goes away."""
        try:
            while True:
                try:
                    async with redis_errors():
                        await self._hear()
                except Unavailable as error:
                    log.warning("waiting", what="notices", error=str(error))
                except Exception as error:  # a bug must not leave listeners with a deaf feed
                    log.exception("bug", what="notices", exc_info=error)
                self._connected.clear()
                self._end_listeners()
                await asyncio.sleep(RETRY_S)
        finally:
            await self._redis.aclose()

    async def _hear(self) -> None:
        """Hand on what is published until the connection fails or falls silent."""
        # What is published at any server of a cluster is heard at all of them.
        async with (await anyone(self._redis)).pubsub() as pubsub:
            await pubsub.psubscribe(notices.ALL_CHANNELS)
            heard_s = pinged_s = time.monotonic()
            while time.monotonic() - heard_s < SILENCE_MAX_S:
                message: dict[str, Any] | None = await pubsub.get_message(timeout=_POLL_S)
                now_s = time.monotonic()
                if message is not None:
                    heard_s = now_s
                    self._take(message)
                elif now_s - pinged_s > PING_EVERY_S:
                    pinged_s = now_s
                    await pubsub.ping()
        raise Unavailable(f"redis: silent for {SILENCE_MAX_S} s")

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "psubscribe":
            self._connected.set()
        if message["type"] != "pmessage":
            return
        try:
            notice = events.decode_json(message["data"], Notice)
        except Rejected as error:
            log.warning("not a notice", error=str(error))
            return
        for listener in list(self._listeners.get(notice.factory_id, ())):
            if not listener.offer(notice):
                self._leave(notice.factory_id, listener)

    def _leave(self, factory_id: UUID, listener: Listener) -> None:
        listeners = self._listeners.get(factory_id, set())
        listeners.discard(listener)
        if not listeners:
            self._listeners.pop(factory_id, None)

    def _end_listeners(self) -> None:
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.end()
        self._listeners.clear()
