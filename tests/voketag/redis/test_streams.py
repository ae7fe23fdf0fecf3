"""Streams on a real Redis: ownership, redelivery, and what a lost reply or a lost lease does."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.crc import key_slot

from tests.cutting_proxy import cutting_proxy
from tests.servers import Servers
from voketag import metrics
from voketag.errors import Fenced, Unavailable
from voketag.redis.leases import owner_key
from voketag.redis.streams import Entry, Streams, add

STREAM, GROUP, OUT, LEASE_MS = "scans:{0}", "score", "scored:{0}", 60_000


@contextlib.asynccontextmanager
async def streams_of(url: str, boot_id: str) -> AsyncIterator[Streams]:
    streams = Streams(url, boot_id)
    try:
        yield streams
    finally:
        await streams.close()


@pytest.fixture
async def owner(redis_url: str) -> AsyncIterator[Streams]:
    """A process that owns the stream, whose group exists."""
    async with streams_of(redis_url, "owner") as streams:
        await streams.ensure_group(STREAM, GROUP)
        assert await streams.own(STREAM, GROUP, LEASE_MS)
        yield streams


@pytest.fixture
async def other(redis_url: str) -> AsyncIterator[Streams]:
    async with streams_of(redis_url, "other") as streams:
        yield streams


async def entries_in(client: Redis, stream: str) -> list[Any]:
    found: Any = await client.xrange(stream)
    return list(found)


async def pending_in(client: Redis) -> int:
    return int((await client.xpending(STREAM, GROUP))["pending"])


def counted(name: str) -> float:
    labels = {"stream": STREAM, "group": GROUP}
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


async def take(streams: Streams, count: int = 10) -> list[Entry]:
    return await streams.read(STREAM, GROUP, pending=False, count=count)


async def test_what_is_published_is_read_in_order_and_byte_for_byte(owner: Streams) -> None:
    ids = [await owner.publish(STREAM, {"event": bytes([0, 255, n])}) for n in range(3)]
    entries = await take(owner)
    assert [entry.entry_id for entry in entries] == ids
    assert [entry.fields for entry in entries] == [{"event": bytes([0, 255, n])} for n in range(3)]


async def test_f21_a_group_begins_at_the_beginning(redis_url: str) -> None:
    async with streams_of(redis_url, "a") as streams:
        await streams.publish(STREAM, {"n": b"before"})
        assert await streams.ensure_group(STREAM, GROUP)
        assert not await streams.ensure_group(STREAM, GROUP)
        assert len(await take(streams)) == 1


async def test_f22_reading_nothing_is_no_error(owner: Streams) -> None:
    assert await take(owner) == []


async def test_f10_a_new_owner_finds_what_its_predecessor_left(
    owner: Streams, other: Streams
) -> None:
    for n in range(3):
        await owner.publish(STREAM, {"n": b"%d" % n})
    taken = await take(owner, count=2)
    await owner.disown(STREAM, GROUP)
    assert await other.own(STREAM, GROUP, LEASE_MS)
    left = await other.read(STREAM, GROUP, pending=True, count=10)
    assert left == taken
    await other.complete(GROUP, left)
    assert await other.read(STREAM, GROUP, pending=True, count=10) == []
    assert [entry.fields for entry in await take(other)] == [{"n": b"2"}]


async def test_a_stream_has_one_owner_until_it_gives_the_lease_back(
    owner: Streams, other: Streams
) -> None:
    assert not await other.own(STREAM, GROUP, LEASE_MS)
    await other.disown(STREAM, GROUP)  # not its own to give
    assert await owner.own(STREAM, GROUP, LEASE_MS)
    await owner.disown(STREAM, GROUP)
    assert await other.own(STREAM, GROUP, LEASE_MS)
    assert not await owner.own(STREAM, GROUP, LEASE_MS)


async def test_f12_a_lease_that_nobody_renews_is_taken_once_it_has_run_out(
    owner: Streams, other: Streams
) -> None:
    assert await owner.own(STREAM, GROUP, 1)
    while not await other.own(STREAM, GROUP, LEASE_MS):
        pass
    with pytest.raises(Fenced):
        await owner.complete(GROUP, [Entry(STREAM, "1-1", {})])


async def test_completing_acknowledges_and_does_what_follows_in_one_step(owner: Streams) -> None:
    await owner.publish(STREAM, {"n": b"1"})
    entries = await take(owner)
    await owner.complete(GROUP, entries, [add(OUT, {"n": b"\x00"}), ("SET", "k{0}", 7)])
    assert await pending_in(owner.redis) == 0
    assert [fields for _, fields in await entries_in(owner.redis, OUT)] == [{b"n": b"\x00"}]
    assert await owner.redis.get("k{0}") == b"7"


async def test_completing_again_does_nothing_again(owner: Streams) -> None:
    await owner.publish(STREAM, {"n": b"1"})
    entries = await take(owner)
    for _ in range(3):
        await owner.complete(GROUP, entries, [add(OUT, {"n": b"1"})])
    assert len(await entries_in(owner.redis, OUT)) == 1


async def test_f3_a_lost_reply_to_completing_is_asked_again_and_takes_effect_once(
    redis_url: str,
) -> None:
    async with (
        cutting_proxy(redis_url) as (proxy, url),
        streams_of(url, "owner") as streams,
    ):
        await streams.ensure_group(STREAM, GROUP)
        assert await streams.own(STREAM, GROUP, LEASE_MS)
        await streams.publish(STREAM, {"n": b"1"})
        entries = await take(streams)
        commands = [add(OUT, {"n": b"mark"})]
        await streams.complete(GROUP, [], commands)  # nothing to acknowledge: nothing is done
        # So that the script is known and the first thing to be lost is its effect's reply.
        await streams.complete(GROUP, [Entry(STREAM, "0-1", None)])
        proxy.lose_reply_to = b"mark"
        with pytest.raises(Unavailable):
            await streams.complete(GROUP, entries, commands)
        assert proxy.cuts == 1
        await streams.complete(GROUP, entries, commands)
        assert len(await entries_in(streams.redis, OUT)) == 1
        assert await pending_in(streams.redis) == 0


async def test_f3_publishing_is_never_tried_again_by_the_client_library(redis_url: str) -> None:
    async with (
        cutting_proxy(redis_url) as (proxy, url),
        streams_of(url, "a") as streams,
    ):
        await streams.ping()
        proxy.lose_reply_to = b"mark"
        with pytest.raises(Unavailable):
            await streams.publish(STREAM, {"n": b"mark"})
        assert len(await entries_in(streams.redis, STREAM)) == 1


async def test_f13_one_that_was_overtaken_changes_nothing(owner: Streams, other: Streams) -> None:
    await owner.publish(STREAM, {"n": b"1"})
    entries = await take(owner)
    await owner.own(STREAM, GROUP, 0)  # as when the lease runs out in a stall
    assert await other.own(STREAM, GROUP, LEASE_MS)
    with pytest.raises(Fenced):
        await owner.complete(GROUP, entries, [add(OUT, {"n": b"1"})])
    with pytest.raises(Fenced):
        await owner.bury(GROUP, entries[0], "no", 1)
    await owner.disown(STREAM, GROUP)
    assert await pending_in(owner.redis) == 1
    assert await entries_in(owner.redis, OUT) == []
    assert await entries_in(owner.redis, STREAM + ":dead") == []
    await other.complete(GROUP, await other.read(STREAM, GROUP, pending=True, count=1))


async def test_f26_burying_moves_an_entry_with_its_bytes_and_the_reason(owner: Streams) -> None:
    entry_id = await owner.publish(STREAM, {"v": b"1", "event": b"\xff\x00{"})
    (entry,) = await take(owner)
    await owner.bury(GROUP, entry, "not a Scan: \u00e9", 5)
    await owner.bury(GROUP, entry, "a second time", 5)
    ((_, fields),) = await entries_in(owner.redis, STREAM + ":dead")
    assert fields == {
        b"v": b"1",
        b"event": b"\xff\x00{",
        b"dead_id": entry_id.encode(),
        b"dead_group": GROUP.encode(),
        b"dead_error": "not a Scan: \u00e9".encode(),
        b"dead_attempts": b"5",
    }
    assert await pending_in(owner.redis) == 0


async def test_f26_burying_whose_reply_was_lost_leaves_one_dead_letter(redis_url: str) -> None:
    async with (
        cutting_proxy(redis_url) as (proxy, url),
        streams_of(url, "a") as streams,
    ):
        await streams.ensure_group(STREAM, GROUP)
        assert await streams.own(STREAM, GROUP, LEASE_MS)
        await streams.publish(STREAM, {"n": b"1"})
        (entry,) = await take(streams)
        await streams.complete(GROUP, [Entry(STREAM, "0-1", None)])  # the script is known now
        proxy.lose_reply_to = b"dead_error"
        with pytest.raises(Unavailable):
            await streams.bury(GROUP, entry, "no", 1)
        assert proxy.cuts == 1
        await streams.bury(GROUP, entry, "no", 1)
        assert len(await entries_in(streams.redis, STREAM + ":dead")) == 1
        assert await pending_in(streams.redis) == 0


async def test_f14_an_entry_deleted_while_pending_is_told_from_others(owner: Streams) -> None:
    ids = [await owner.publish(STREAM, {"n": b"1"}) for _ in range(2)]
    await take(owner)
    await owner.redis.xdel(STREAM, ids[0])
    found = await owner.read(STREAM, GROUP, pending=True, count=10)
    assert [entry.fields for entry in found] == [None, {"n": b"1"}]


async def test_f20_a_group_that_is_gone_is_made_again_and_said(owner: Streams) -> None:
    await owner.redis.flushall()
    await owner.publish(STREAM, {"n": b"1"})
    with pytest.raises(Unavailable, match="made again"):
        await take(owner)
    assert len(await take(owner)) == 1


@pytest.mark.parametrize("gone", ["group", "stream", "everything"])
@pytest.mark.parametrize("made_again", [False, True])
async def test_f20_what_is_in_hand_is_not_let_go_where_its_group_is_gone(
    owner: Streams, gone: str, made_again: bool
) -> None:
    """Nothing to acknowledge because the group is another is not: acknowledged before."""
    await owner.publish(STREAM, {"n": b"1"})
    entries = await take(owner)
    if gone == "group":
        await owner.redis.xgroup_destroy(STREAM, GROUP)
    elif gone == "stream":
        await owner.redis.delete(STREAM)
    else:
        await owner.redis.flushall()
        assert await owner.own(STREAM, GROUP, LEASE_MS)
    if made_again:
        await owner.ensure_group(STREAM, GROUP)
        await owner.publish(STREAM, {"n": b"2"})
    with pytest.raises(Unavailable, match="is gone"):
        await owner.complete(GROUP, entries, [add(OUT, {"n": b"1"})])
    assert await entries_in(owner.redis, OUT) == []
    if gone == "group":
        while entries[0] not in (again := await redo(owner)):
            pass
        await owner.complete(GROUP, again, [add(OUT, {"n": b"1"})])
        assert len(await entries_in(owner.redis, OUT)) == 1


async def redo(streams: Streams) -> list[Entry]:
    """Read as the loop does, which makes a group that is gone again."""
    with contextlib.suppress(Unavailable):
        return await take(streams)
    return []


async def test_f20_a_group_that_was_gone_is_counted(owner: Streams) -> None:
    before = counted("voketag_groups_gone_total")
    await owner.redis.xgroup_destroy(STREAM, GROUP)
    with pytest.raises(Unavailable, match="made again"):
        await take(owner)
    assert counted("voketag_groups_gone_total") == before + 1


async def test_f18_f19_after_many_owners_there_is_one_consumer_and_nothing_was_discarded(
    redis_url: str,
) -> None:
    owners = 6
    for n in range(owners):
        async with streams_of(redis_url, f"boot-{n}") as streams:
            await streams.ensure_group(STREAM, GROUP)
            await streams.publish(STREAM, {"n": b"%d" % n})
            while not await streams.own(STREAM, GROUP, 0):
                pass
            assert len(await take(streams, count=1)) == 1  # and dies without giving it back
    async with streams_of(redis_url, "last") as streams:
        while not await streams.own(STREAM, GROUP, LEASE_MS):
            pass
        consumers: Any = await streams.redis.xinfo_consumers(STREAM, GROUP)
        assert [(consumer["name"], consumer["pending"]) for consumer in consumers] == [
            (GROUP.encode(), owners)
        ]
        left = await streams.read(STREAM, GROUP, pending=True, count=100)
        assert [entry.fields for entry in left] == [{"n": b"%d" % n} for n in range(owners)]
        await streams.complete(GROUP, left)
        assert await pending_in(streams.redis) == 0


async def test_a_stream_that_was_left_behind_is_counted_when_it_is_taken_over(
    owner: Streams, other: Streams
) -> None:
    before = counted("voketag_streams_taken_over_total")
    await owner.disown(STREAM, GROUP)
    assert await other.own(STREAM, GROUP, LEASE_MS)
    await other.disown(STREAM, GROUP)
    assert await owner.own(STREAM, GROUP, 0)
    assert counted("voketag_streams_taken_over_total") == before
    while not await other.own(STREAM, GROUP, LEASE_MS):
        pass
    assert counted("voketag_streams_taken_over_total") == before + 1


async def test_f8_the_largest_batch_with_all_that_follows_fits_one_script(owner: Streams) -> None:
    """persist reads 1,000 entries at once, score writes three commands for each of its 200."""
    async with owner.redis.pipeline(transaction=False) as pipeline:
        for n in range(1000):
            pipeline.xadd(STREAM, {"n": n})
        await pipeline.execute()
    entries = await take(owner, count=1000)
    assert len(entries) == 1000
    commands = [
        command
        for entry in entries
        for command in (
            add(OUT, entry.fields or {}),
            ("SET", "{0}" + entry.entry_id, b"x" * 1000, "EX", 60),
            ("LREM", "tail:{0}", 1, b"x"),
        )
    ]
    await owner.complete(GROUP, entries, commands)
    assert await pending_in(owner.redis) == 0
    assert len(await entries_in(owner.redis, OUT)) == 1000


async def test_scripts_that_the_server_forgot_are_sent_again(owner: Streams) -> None:
    await owner.publish(STREAM, {"n": b"1"})
    entries = await take(owner)
    await owner.redis.script_flush()
    assert await owner.own(STREAM, GROUP, LEASE_MS)
    await owner.complete(GROUP, entries)
    assert await pending_in(owner.redis) == 0


async def test_a_server_that_is_away_is_waited_for(servers: Servers, redis_url: str) -> None:
    async with streams_of(redis_url, "a") as streams:
        await streams.ping()
        await servers.stop("redis")
        for attempt in (
            streams.ping(),
            streams.publish(STREAM, {"n": b"1"}),
            streams.own(STREAM, GROUP, LEASE_MS),
            streams.ensure_group(STREAM, GROUP),
            take(streams),
            streams.complete(GROUP, [Entry(STREAM, "1-1", {})]),
        ):
            with pytest.raises(Unavailable):
                await attempt
        await servers.start("redis")
        await streams.ping()


@pytest.mark.parametrize("stream", ["roots", "scans:{3}"])
def test_f30_the_lease_lies_in_the_slot_of_its_stream(stream: str) -> None:
    assert key_slot(stream.encode()) == key_slot(owner_key(stream, GROUP).encode())
