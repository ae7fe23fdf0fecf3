"""register: products made once and all at once, whatever comes in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from consumers import register
from tests.cutting_proxy import cutting_proxy
from tests.factory_floor import running, settings_for, until
from tests.servers import Servers
from voketag import events, identifiers, merkle, notices, process
from voketag.batches.making import Maker
from voketag.batches.submission import CheckedBatch
from voketag.errors import Rejected, Unavailable
from voketag.events import BatchAccepted, Notice, RootReady
from voketag.process import Wires
from voketag.records import batches, factories, serials
from voketag.records.batches import Blueprint, Origin
from voketag.redis.streams import Entry

MADE = datetime(2026, 1, 31, 8, tzinfo=UTC)


@pytest.fixture
async def wires(redis_url: str, database_url: str) -> AsyncIterator[Wires]:
    settings = settings_for(redis_url, database_url, SHARDS="1")
    async with process.open_wires(settings, database=True) as opened:
        yield opened


@pytest.fixture
async def factory_id(wires: Wires) -> UUID:
    async with wires.database.connection() as connection:
        return (await factories.create_factory(connection, "F", "f@example.com"))[0]


async def accept(
    wires: Wires, factory_id: UUID, count: int, given: list[str] | None = None
) -> UUID:
    """A batch as the factory service leaves it, not announced yet."""
    batch_id = identifiers.new_id()
    batch = CheckedBatch("SHOE-42", "Running shoe", count, given, MADE, (), None)
    async with wires.database.transaction() as connection:
        await batches.insert(connection, batch_id, batch, Origin(factory_id, None, b""), 1)
        if given is not None:
            await serials.add(connection, batch_id, factory_id, batch.sku, given)
    return batch_id


async def announce(wires: Wires, batch_id: UUID) -> None:
    await wires.streams.publish(events.batches(0), events.encode(BatchAccepted(batch_id)))


async def blueprint(wires: Wires, batch_id: UUID) -> Blueprint:
    async with wires.database.connection() as connection:
        found = await batches.blueprint(connection, batch_id)
    assert found is not None
    return found


async def reaches(wires: Wires, batch_id: UUID, status: str) -> None:
    async def reached() -> bool:
        return (await blueprint(wires, batch_id)).status == status

    await until(reached, f"batch {status}")


async def stored(wires: Wires, batch_id: UUID) -> dict[UUID, str]:
    async with wires.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT product_id, serial FROM products WHERE batch_id = $1", batch_id
        )
    return {row["product_id"]: row["serial"] for row in rows}


async def tree_of(wires: Wires, batch_id: UUID) -> bytes:
    async with wires.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT nodes FROM batch_trees WHERE batch_id = $1 ORDER BY chunk", batch_id
        )
    return b"".join(row["nodes"] for row in rows)


async def told(wires: Wires, stream: str) -> list[bytes]:
    entries: Any = await wires.streams.redis.xrange(stream)
    return [fields[b"event"] for _, fields in entries]


async def acknowledged(wires: Wires) -> bool:
    groups: Any = await wires.streams.redis.xinfo_groups(events.batches(0))
    length: Any = await wires.streams.redis.xlen(events.batches(0))
    return any(group["pending"] == 0 and group["entries-read"] == length for group in groups)


def entry(fields: dict[str, bytes]) -> Entry:
    return Entry(events.batches(0), "1-1", fields)


def given_serials(count: int) -> list[str]:
    return [f'S"{number * 7919 % count}é' for number in range(count)]


@pytest.mark.parametrize("count", [1, 2, 4999, 5001, 12_000])
@pytest.mark.parametrize("with_serials", [False, True])
async def test_products_root_and_tree_are_those_of_the_batch(
    wires: Wires, factory_id: UUID, count: int, with_serials: bool
) -> None:
    given = given_serials(count) if with_serials else None
    batch_id = await accept(wires, factory_id, count, given)
    async with running(wires, register.build(wires)):
        await announce(wires, batch_id)
        await reaches(wires, batch_id, "processing")
    whole = Maker(batch_id, factory_id, "SHOE-42", "2026-01-31T08:00:00Z").chunk(0, count, given)
    ids = [UUID(bytes=raw) for raw in whole.product_ids]
    assert await stored(wires, batch_id) == dict(zip(ids, whole.serials, strict=True))
    tree = merkle.build(whole.leaves)
    assert await tree_of(wires, batch_id) == tree
    assert (await blueprint(wires, batch_id)).merkle_root == merkle.node(tree, 0)


async def test_what_follows_is_told(wires: Wires, factory_id: UUID) -> None:
    batch_id = await accept(wires, factory_id, 3)
    async with running(wires, register.build(wires)):
        await announce(wires, batch_id)
        await until(lambda: acknowledged(wires), "acknowledged")
    made = await blueprint(wires, batch_id)
    assert made.merkle_root is not None
    assert made.stored_at is not None
    root = "0x" + made.merkle_root.hex()
    (ready,) = await told(wires, events.ROOTS)
    assert events.decode_json(ready, RootReady) == RootReady(batch_id, root)
    (notice,) = await told(wires, events.NOTICES)
    expected = notices.of_batch(
        "batch.processing",
        batch_id,
        factory_id,
        made.stored_at,
        {"product_count": 3, "merkle_root": root},
    )
    assert events.decode_json(notice, Notice) == expected


async def test_a_batch_that_is_announced_again_is_made_once(wires: Wires, factory_id: UUID) -> None:
    batch_id = await accept(wires, factory_id, 100)
    async with running(wires, register.build(wires)):
        for _ in range(3):
            await announce(wires, batch_id)
        await until(lambda: acknowledged(wires), "acknowledged")
    assert len(await stored(wires, batch_id)) == 100
    assert len(set(await told(wires, events.ROOTS))) == 1
    assert len(set(await told(wires, events.NOTICES))) == 1


async def test_two_at_once_make_a_batch_once(wires: Wires, factory_id: UUID) -> None:
    batch_id = await accept(wires, factory_id, 2000)
    entries = [entry(events.encode(BatchAccepted(batch_id)))]
    handles = [register.build(wires).handle(entries) for _ in range(3)]
    first, *others = await asyncio.gather(*handles)
    assert all(other == first for other in others)
    assert len(await stored(wires, batch_id)) == 2000


async def test_nothing_is_seen_of_a_batch_that_was_not_finished(
    wires: Wires, factory_id: UUID
) -> None:
    """Cut off in the middle, as a stop or a crash would, then taken up again."""
    count = 30_000
    batch_id = await accept(wires, factory_id, count)
    entries = [entry(events.encode(BatchAccepted(batch_id)))]
    handle = register.build(wires).handle
    cut = asyncio.ensure_future(handle(entries))

    async def copying() -> bool:
        async with wires.database.connection() as connection:
            return bool(
                await connection.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%products%' "
                    "AND pid <> pg_backend_pid() AND datname = current_database()"
                )
            )

    await until(copying, "the copy began")
    assert await stored(wires, batch_id) == {}
    cut.cancel()
    await asyncio.gather(cut, return_exceptions=True)
    assert await stored(wires, batch_id) == {}
    assert (await blueprint(wires, batch_id)).status == "pending"
    await handle(entries)
    assert len(await stored(wires, batch_id)) == count


async def test_while_postgres_is_away_the_batch_waits(
    wires: Wires, factory_id: UUID, servers: Servers
) -> None:
    batch_id = await accept(wires, factory_id, 10)
    await servers.stop("postgres")
    with pytest.raises(Unavailable):
        await register.build(wires).handle([entry(events.encode(BatchAccepted(batch_id)))])
    async with running(wires, register.build(wires)):
        await announce(wires, batch_id)
        await servers.start("postgres")
        await reaches(wires, batch_id, "processing")
    assert await told(wires, events.batches(0) + events.DEAD_SUFFIX) == []


async def test_the_event_loop_lives_while_a_large_batch_is_made(
    wires: Wires, factory_id: UUID
) -> None:
    """Leases are renewed each second: others get their turns within each chunk of work."""
    chunks = 12
    batch_id = await accept(wires, factory_id, chunks * register.CHUNK_PRODUCTS)
    making = asyncio.ensure_future(
        register.build(wires).handle([entry(events.encode(BatchAccepted(batch_id)))])
    )
    turns = 0
    while not making.done():
        await asyncio.sleep(0)
        turns += 1
    await making
    assert turns > 3 * chunks


# ---------------------------------------------------------------------- failing


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
