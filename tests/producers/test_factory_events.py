"""A factory's notices as it hears them: its own, to the end."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from consumers import notify, register
from producers import factory_events
from tests.erp import Erp, Service, serving
from tests.factory_floor import running, until
from tests.servers import Servers
from voketag import events, identifiers, notices
from voketag.events import Notice
from voketag.records import factories


class Hearing:
    """An open event stream, from after its first line."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def event(self) -> dict[str, str] | None:
        """The next event's fields, None at the stream's end."""
        fields: dict[str, str] = {}
        while line := (await self.response.content.readline()).decode():
            if line == "\n":
                if fields:
                    return fields
            elif not line.startswith(":"):
                name, _, value = line.rstrip("\n").partition(": ")
                fields[name] = value
        return None


@contextlib.asynccontextmanager
async def hearing(erp: Erp) -> AsyncIterator[Hearing]:
    headers = {"Authorization": f"Bearer {erp.key}"}
    async with erp.session.get("/v1/events", headers=headers) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        assert int((await response.content.readline()).removeprefix(b"retry: ")) > 0
        yield Hearing(response)


async def test_a_factory_hears_of_its_own_batches(erp: Erp, service: Service) -> None:
    other = await service.erp()
    wires = erp.wires
    async with (
        running(wires, register.build(wires), notify.build(wires)),
        hearing(erp) as mine,
        hearing(other) as others,
    ):
        batch_id = await erp.create(product_count=3)
        event = await mine.event()
        assert event is not None
        assert event["event"] == "batch.processing"
        assert event["id"] == str(notices.notice_id(batch_id, "batch.processing"))
        told: dict[str, Any] = json.loads(event["data"])
        assert told["batch_id"] == str(batch_id)
        assert told["at"] == (await erp.batch(batch_id))["stored_at"]
        assert told["detail"]["merkle_root"] == (await erp.batch(batch_id))["merkle_root"]
        await erp.post(f"/v1/batches/{batch_id}/recall", {"reason": "one"})
        event = await mine.event()
        assert event is not None
        assert event["event"] == "batch.recalled"
        foreign = await other.create(product_count=1)
        event = await others.event()
        assert event is not None
        assert json.loads(event["data"])["batch_id"] == str(foreign)


async def test_a_stream_ends_when_its_key_does(erp: Erp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory_events, "KEY_CHECK_EVERY_S", 0.05)
    async with hearing(erp) as mine:
        async with erp.wires.database.connection() as connection:
            (shown,) = await factories.list_factories(connection)
            await factories.revoke_key(connection, shown.keys[0].key_id)
        assert await mine.event() is None


async def test_a_stream_ends_where_notices_may_be_missed(erp: Erp, servers: Servers) -> None:
    async with hearing(erp) as mine:
        await servers.stop("redis")
        assert await mine.event() is None
    assert (await erp.get("/v1/events")).problem == (503, "unavailable")
    await servers.start("redis")

    async def heard_again() -> bool:
        with contextlib.suppress(AssertionError):
            async with hearing(erp):
                return True
        return False

    await until(heard_again, "notices are heard again")


async def test_streams_do_not_hold_up_the_end(redis_url: str, database_url: str) -> None:
    async with contextlib.AsyncExitStack() as kept:
        async with serving(redis_url, database_url) as service:
            session = await kept.enter_async_context(
                aiohttp.ClientSession(f"http://127.0.0.1:{service.port}")
            )
            one = await service.erp()
            erp = Erp(session, service.wires, one.factory_id, one.key)
            mine = await kept.enter_async_context(hearing(erp))
        # The stream's own last word: one that the end of the grace cut off would raise here.
        assert await mine.event() is None


async def test_a_listener_that_does_not_read_is_let_go(erp: Erp) -> None:
    notice = Notice(
        notice_id=identifiers.new_id(),
        factory_id=erp.factory_id,
        kind="batch.failed",
        batch_id=identifiers.new_id(),
        at_ms=1,
        detail={"filler": "x" * 20_000},
    )
    published, heard = 1500, 0
    async with hearing(erp) as mine:
        for _ in range(published):
            await erp.wires.streams.redis.publish(
                notices.channel(erp.factory_id), events.to_json(notice)
            )
        while await mine.event() is not None:
            heard += 1
    assert 0 < heard < published
