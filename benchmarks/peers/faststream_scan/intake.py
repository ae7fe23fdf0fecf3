"""Publishes scans; those that come at the same time share a round trip to Redis."""

from __future__ import annotations

import asyncio

import orjson
from faststream.redis import RedisBroker
from redis.asyncio import Redis

from benchmarks.peers.faststream_scan.wire import STREAM, STREAM_MAX_LENGTH, Event, history_key


class Intake:
    """What comes while one round trip is under way goes into the next."""

    def __init__(self, broker: RedisBroker, redis: Redis) -> None:
        self._broker = broker
        self._redis = redis
        self._waiting: list[tuple[Event, asyncio.Future[bytes | None]]] = []
        self._sending: asyncio.Task[None] | None = None

    async def publish(self, event: Event) -> bytes | None:
        """Hand a scan on; what Redis knew of its product, as JSON. Raises RedisError."""
        known: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((event, known))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())
        return await known

    async def _send(self) -> None:
        """Send until nobody waits."""
        while self._waiting:
            events, self._waiting = self._waiting, []
            try:
                histories = await self._exchange([event for event, _ in events])
            except Exception as error:
                for _, known in events:
                    if not known.done():  # a phone that went away waits no more
                        known.set_exception(error)
            else:
                for (_, known), history in zip(events, histories, strict=True):
                    if not known.done():
                        known.set_result(history)
        self._sending = None

    async def _exchange(self, events: list[Event]) -> list[bytes | None]:
        pipeline = self._redis.pipeline(transaction=False)
        for event in events:
            pipeline.get(history_key(event["product_id"]))
            await self._broker.publish(
                orjson.dumps(event), stream=STREAM, maxlen=STREAM_MAX_LENGTH, pipeline=pipeline
            )
        replies: list[bytes | None] = await pipeline.execute()
        return replies[::2]
