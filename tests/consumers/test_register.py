"""register: products made once and all at once, whatever comes in between."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

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
    tree_of,
)
from tests.factory_floor import running, until
from tests.servers import Servers
from voketag import events, merkle, notices
from voketag.batches.making import Maker
from voketag.errors import Unavailable
from voketag.events import BatchAccepted, Notice, RootReady
from voketag.process import Wires


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
    ids = [await accept(wires, factory_id, count) for _ in range(2)]
    entries = [entry(events.encode(BatchAccepted(batch_id))) for batch_id in ids]
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
    assert [await stored(wires, batch_id) for batch_id in ids] == [{}, {}]
    cut.cancel()
    await asyncio.gather(cut, return_exceptions=True)
    assert [await stored(wires, batch_id) for batch_id in ids] == [{}, {}]
    assert {(await blueprint(wires, batch_id)).status for batch_id in ids} == {"pending"}
    await handle(entries)
    assert [len(await stored(wires, batch_id)) for batch_id in ids] == [count, count]


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


async def test_what_follows_from_batches_read_together_is_told_in_their_order(
    wires: Wires, factory_id: UUID
) -> None:
    """The first takes longer than the second, and the last is the first once more."""
    ids = [await accept(wires, factory_id, count) for count in (9000, 1)]
    ids.append(ids[0])
    entries = [entry(events.encode(BatchAccepted(batch_id))) for batch_id in ids]
    commands = await register.build(wires).handle(entries)
    ready = [words[-1] for words in commands if words[1] == events.ROOTS]
    roots = [
        events.decode_json(event, RootReady).batch_id for event in ready if isinstance(event, bytes)
    ]
    assert roots == ids
    assert len(commands) == 2 * len(ids)
    assert [len(await stored(wires, batch_id)) for batch_id in ids] == [9000, 1, 9000]


async def test_large_batches_wait_for_each_other_without_a_connection(
    wires: Wires, factory_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than the process has connections, and a small one that needs one."""
    monkeypatch.setattr(register, "LARGE_PRODUCTS", 10_000)
    larges = [await accept(wires, factory_id, 10_000) for _ in range(6)]
    small = await accept(wires, factory_id, 1)
    handle = register.build(wires).handle
    made: list[UUID] = []

    async def make(batch_id: UUID) -> None:
        await handle([entry(events.encode(BatchAccepted(batch_id)))])
        made.append(batch_id)

    await asyncio.gather(*map(make, [*larges, small]))
    assert made.index(small) < 2
    assert {*made} == {*larges, small}
