"""How the streams stand, read for the terminal: figures, rates, and what is wrong, in words.

What counts as wrong are the thresholds of docs/alerts.md, seen at one instant: an alert waits until
it has lasted.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
from redis.asyncio import Redis

from voketag import events, identifiers, topology
from voketag.ops.stream_rates import Counts, Rates, rates, read_counts
from voketag.ownership import LEASE_MS
from voketag.redis.stream_status import GroupStatus, StreamStatus, read_status

BEHIND_S = 60.0
PENDING_MAX = 5_000
LAG_MAX = 10_000
LENGTH_MAX = 1_000_000


class GroupView(msgspec.Struct, frozen=True):
    """A group of a stream, as `GET /v1/streams` has it, and what is wrong with it."""

    group: str
    registered: bool
    lag: int | None
    pending: int
    oldest_unacked_s: float
    consumers: int
    wrong: tuple[str, ...]


class StreamView(msgspec.Struct, frozen=True):
    """A stream, as `GET /v1/streams` has it, and what is wrong with it."""

    stream: str
    length: int
    dead: int
    wrong: tuple[str, ...]
    groups: tuple[GroupView, ...]


class View(msgspec.Struct, frozen=True):
    """Everything at one instant; `at` is RFC 3339 in UTC."""

    at: str
    per_second: Rates
    streams: tuple[StreamView, ...]

    @property
    def wrong(self) -> bool:
        """Whether anything is."""
        return any(
            stream.wrong or any(group.wrong for group in stream.groups) for stream in self.streams
        )


class Reader:
    """Reads views one after another; each has the rates since the one before it."""

    def __init__(self, redis: Redis, shards: int) -> None:
        self._redis = redis
        self._groups = topology.groups_of(shards)
        self._scans = [events.scans(shard) for shard in range(shards)]
        self._scored = [events.scored(shard) for shard in range(shards)]
        self._before: Counts | None = None

    async def read(self) -> View:
        """The figures of this instant. Raises Unavailable; rates begin anew after that."""
        before, self._before = self._before, None
        now = await read_counts(self._redis, self._scans, self._scored)
        found = await read_status(self._redis, self._groups, LEASE_MS)
        self._before = now
        at = identifiers.rfc3339(identifiers.time_of_ms(time.time_ns() // 1_000_000))
        per_second = Rates() if before is None else rates(before, now)
        return View(at, per_second, tuple(map(_stream, found)))


def _stream(status: StreamStatus) -> StreamView:
    groups = tuple(map(_group, status.groups))
    wrong = _named(
        (status.dead > 0, "dead letters"),
        (status.length > LENGTH_MAX, "does not shrink"),
    )
    return StreamView(status.stream, status.length, status.dead, wrong, groups)


def _group(status: GroupStatus) -> GroupView:
    if status.registered:
        wrong = _named(
            (status.consumers == 0, "no process"),
            (status.oldest_unacked_s > BEHIND_S, "behind"),
            (status.pending > PENDING_MAX, "much pending"),
            ((status.lag or 0) > LAG_MAX, "much to come"),
        )
    else:
        wrong = ("stranger",)
    return GroupView(
        status.group,
        status.registered,
        status.lag,
        status.pending,
        round(status.oldest_unacked_s, 3),
        status.consumers,
        wrong,
    )


def _named(*checks: tuple[bool, str]) -> tuple[str, ...]:
    return tuple(name for holds, name in checks if holds)


def words(wrong: Sequence[str]) -> str:
    """What is wrong as a person reads it; `ok` where nothing is."""
    return ", ".join(word.upper() for word in wrong) or "ok"
