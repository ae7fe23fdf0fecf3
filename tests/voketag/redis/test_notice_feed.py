"""The feed of notices: whoever listens is never left with one that hears nothing."""

from __future__ import annotations

import asyncio

import pytest

from tests.servers import eventually
from voketag import events, identifiers, notices
from voketag.events import Notice
from voketag.redis import notice_feed
from voketag.redis.connection import connect
from voketag.redis.notice_feed import Listener, NoticeFeed
from voketag.tasks import end


async def test_after_a_bug_listeners_are_ended_and_the_feed_goes_on(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notice_feed, "RETRY_S", 0.01)
    feed, factory_id, batch_id = NoticeFeed(redis_url), identifiers.new_id(), identifiers.new_id()
    notice_id = notices.notice_id(batch_id, "batch.failed")
    notice = events.to_json(Notice(notice_id, factory_id, "batch.failed", batch_id, 0))
    ended: list[str] = []
    heard: list[Notice] = []

    def fail(_: Notice) -> bool:
        raise ValueError("a bug")

    def hear(notice: Notice) -> bool:
        heard.append(notice)
        return True

    running = asyncio.create_task(feed.run())
    try:
        async with connect(redis_url) as redis:
            await feed.connected()
            with feed.listening(factory_id, Listener(fail, lambda: ended.append("deaf"))):
                await redis.publish(notices.channel(factory_id), notice)
                await eventually(lambda: ended == ["deaf"])
            await feed.connected()
            with feed.listening(factory_id, Listener(hear, lambda: None)):
                await redis.publish(notices.channel(factory_id), notice)
                await eventually(lambda: len(heard) == 1)
    finally:
        await end(running)
