"""notify: each notice is published once, to its factory's channel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from consumers import notify
from tests.factory_floor import running, settings_for, until
from voketag import events, identifiers, notices, process
from voketag.events import Notice
from voketag.process import Wires


@pytest.fixture
async def wires(redis_url: str, database_url: str) -> AsyncIterator[Wires]:
    async with process.open_wires(settings_for(redis_url, database_url)) as opened:
        yield opened


def notice(factory_id: UUID, number: int) -> Notice:
    made = identifiers.time_of_ms(number)
    return notices.of_batch("batch.completed", identifiers.new_id(), factory_id, made)


async def test_each_notice_goes_to_its_factory_once(wires: Wires) -> None:
    mine, other = identifiers.new_id(), identifiers.new_id()
    sent = [notice((mine, other)[number % 2], number) for number in range(20)]
    heard: dict[str, list[Notice]] = {notices.channel(mine): [], notices.channel(other): []}
    async with wires.streams.redis.pubsub() as pubsub:
        await pubsub.psubscribe(notices.ALL_CHANNELS)
        for one in sent:
            await wires.streams.publish(events.NOTICES, events.encode(one))
        async with running(wires, notify.build(wires)):
            async with asyncio.timeout(10):
                while sum(map(len, heard.values())) < len(sent):
                    message: Any = await pubsub.get_message(True, timeout=1)
                    if message is not None:
                        found = events.decode_json(message["data"], Notice)
                        heard[message["channel"].decode()].append(found)

            async def acknowledged() -> bool:
                (group,) = await wires.streams.redis.xinfo_groups(events.NOTICES)
                return bool(group["pending"] == 0)

            await until(acknowledged, "acknowledged")
        assert await pubsub.get_message(True, timeout=0.1) is None
    assert heard[notices.channel(mine)] == sent[::2]
    assert heard[notices.channel(other)] == sent[1::2]


async def test_an_entry_that_is_no_notice_is_buried(wires: Wires) -> None:
    await wires.streams.publish(events.NOTICES, {"v": b"1", "event": b"{}"})

    async def buried() -> bool:
        return bool(await wires.streams.redis.xlen(events.NOTICES + events.DEAD_SUFFIX))

    async with running(wires, notify.build(wires)):
        await until(buried, "buried")


def test_a_batch_has_one_notice_of_a_kind() -> None:
    batch_id = identifiers.new_id()
    ids = {
        notices.notice_id(batch_id, kind)
        for kind in ("batch.processing", "batch.completed", "batch.failed", "batch.recalled")
        for _ in range(2)
    }
    assert len(ids) == 4
    for one in ids:
        assert identifiers.is_uuid7(str(one))
        assert identifiers.at_ms(one) == identifiers.at_ms(batch_id)
