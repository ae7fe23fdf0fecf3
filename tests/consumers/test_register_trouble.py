"""register and what can go wrong with a batch: it fails, alone and whole, or waits."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from consumers import register
from tests.accepted_batches import (
    accept,
    acknowledged,
    announce,
    blueprint,
    entry,
    reaches,
    stored,
    told,
)
from tests.cutting_proxy import cutting_proxy
from tests.factory_floor import running, settings_for, until
from voketag import events, identifiers, process
from voketag.batches.making import Maker
from voketag.errors import Rejected
from voketag.events import BatchAccepted, Notice
from voketag.process import Wires


async def test_a_batch_that_cannot_be_made_holds_up_none_that_was_read_with_it(
    wires: Wires, factory_id: UUID
) -> None:
    unknown, batch_id = identifiers.new_id(), await accept(wires, factory_id, 3000)
    await announce(wires, unknown)
    await announce(wires, batch_id)
    with capture_logs() as logged:
        async with running(wires, register.build(wires)):
            await reaches(wires, batch_id, "processing")
            await until(lambda: acknowledged(wires), "acknowledged")
    assert "batch failed: entry by entry now" in {line["event"] for line in logged}
    assert len(await stored(wires, batch_id)) == 3000
    assert len(await told(wires, events.batches(0) + events.DEAD_SUFFIX)) == 1
    assert len(set(await told(wires, events.ROOTS))) == 1


async def test_none_is_at_work_any_more_when_a_failure_is_told(
    wires: Wires, factory_id: UUID
) -> None:
    """What is left at work would store products behind the back of whoever tries again."""
    ids = [identifiers.new_id(), await accept(wires, factory_id, 20_000)]
    entries = [entry(events.encode(BatchAccepted(batch_id))) for batch_id in ids]
    with pytest.raises(Rejected):
        await register.build(wires).handle(entries)
    assert (await blueprint(wires, ids[1])).status == "processing"


async def test_a_batch_that_cannot_be_made_fails_and_can_be_tried_again(
    wires: Wires, factory_id: UUID
) -> None:
    batch_id = await accept(wires, factory_id, 3, ["A", "B", "C"])
    async with wires.database.connection() as connection:
        await connection.execute("DELETE FROM batch_serials WHERE serial = 'B'")
    async with running(wires, register.build(wires)):
        await announce(wires, batch_id)
        await reaches(wires, batch_id, "failed")
        await until(lambda: acknowledged(wires), "buried")
    assert await stored(wires, batch_id) == {}
    (dead,) = await told(wires, events.batches(0) + events.DEAD_SUFFIX)
    (notice,) = await told(wires, events.NOTICES)
    assert events.decode_json(notice, Notice).kind == "batch.failed"
    assert await told(wires, events.ROOTS) == []
    async with wires.database.connection() as connection:
        await connection.execute(
            "INSERT INTO batch_serials VALUES ($1, 'SHOE-42', 'B', $2, 1)", factory_id, batch_id
        )
    async with running(wires, register.build(wires)):
        await wires.streams.publish(events.batches(0), {"v": events.VERSION, "event": dead})
        await reaches(wires, batch_id, "processing")
    assert sorted((await stored(wires, batch_id)).values()) == ["A", "B", "C"]


async def test_a_bug_in_making_is_no_outage(
    wires: Wires, factory_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes while Postgres takes in the chunk before; waiting for Postgres would not help."""
    batch_id = await accept(wires, factory_id, 2 * register.CHUNK_PRODUCTS)
    derive = register._derive

    def fail_at_the_second(maker: Maker, leaves: Any, start: int, *more: Any) -> Any:
        if start > 0:
            raise ValueError("a bug")
        return derive(maker, leaves, start, *more)

    monkeypatch.setattr(register, "_derive", fail_at_the_second)
    with pytest.raises(ValueError, match="a bug"):
        await register.build(wires).handle([entry(events.encode(BatchAccepted(batch_id)))])
    assert await stored(wires, batch_id) == {}


async def test_what_names_no_batch_is_rejected(wires: Wires) -> None:
    consumer = register.build(wires)
    unknown = entry(events.encode(BatchAccepted(identifiers.new_id())))
    for bad in (unknown, entry({"v": b"9", "event": b"{}"}), entry({"v": b"1", "event": b"x"})):
        with pytest.raises(Rejected):
            await consumer.handle([bad])
        assert consumer.buried is not None
        await consumer.buried(bad, "because \0")
    assert await told(wires, events.NOTICES) == []


async def test_a_stored_batch_cannot_fail_any_more(wires: Wires, factory_id: UUID) -> None:
    batch_id = await accept(wires, factory_id, 1)
    accepted = entry(events.encode(BatchAccepted(batch_id)))
    consumer = register.build(wires)
    await consumer.handle([accepted])
    assert consumer.buried is not None
    await consumer.buried(accepted, "because")
    assert (await blueprint(wires, batch_id)).status == "processing"
    assert await told(wires, events.NOTICES) == []


async def test_f34_the_reply_to_a_commit_is_lost(
    wires: Wires, factory_id: UUID, database_url: str
) -> None:
    """The products are there; the entry comes again, finds them made and tells of them."""
    batch_id = await accept(wires, factory_id, 12_000)
    async with cutting_proxy(database_url) as (proxy, url):
        settings = settings_for(wires.settings.redis_url, url, SHARDS="1")
        async with process.open_wires(settings, database=True) as cut:
            proxy.lose_reply_to = b"COMMIT"
            async with running(cut, register.build(cut)):
                await announce(wires, batch_id)

                async def done() -> bool:
                    return await acknowledged(wires)

                await until(done, "acknowledged")
        assert proxy.cuts == 1
    assert len(await stored(wires, batch_id)) == 12_000
    assert len(await told(wires, events.ROOTS)) == 1
    assert len(await told(wires, events.NOTICES)) == 1
