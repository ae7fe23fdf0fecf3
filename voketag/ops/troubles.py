"""What is wrong with the system, in words: the first thing that whoever looks at it should read.

The thresholds are those of docs/alerts.md, without the time that an alarm waits: who looks is told
at once, and of what is falling behind before it is late.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from voketag.ops.process_counts import Key, of_kind
from voketag.ops.streams_view import BEHIND_S, LAG_MAX, PENDING_MAX
from voketag.records.anchoring_status import Anchoring
from voketag.redis.stream_status import StreamStatus

FALLING_BEHIND_S = 30.0
MEMORY_SHARE = 0.6
ROOTS_WAITING_S = 600.0
ANCHOR_OPEN_S = 600.0
Severity = Literal["bad", "warn"]


class Trouble(msgspec.Struct, frozen=True):
    """One thing that is wrong, or (`warn`) may become so; `link` is the page that has more."""

    severity: Severity
    text: str
    link: str | None = None


@dataclass(frozen=True)
class Facts:
    """What is known of the system; None: the server that would say so does not answer."""

    streams: Sequence[StreamStatus] | None
    processes: Mapping[str, int] | None
    counts: Mapping[Key, float]
    anchoring: Anchoring | None
    anchor_window_s: float


def troubles(facts: Facts) -> tuple[Trouble, ...]:
    """All that is wrong, the worst first."""
    found = [
        *_servers(facts),
        *_processes(facts.processes or {}, facts.streams or ()),
        *_gate(facts.counts),
        *_groups(facts.streams or ()),
        *_dead(facts.streams or ()),
        *_anchors(facts),
        *_strangers(facts.streams or ()),
    ]
    return tuple(sorted(found, key=lambda trouble: trouble.severity))


def _servers(facts: Facts) -> Iterator[Trouble]:
    if facts.streams is None:
        yield Trouble("bad", "Redis does not answer")
    if facts.anchoring is None:
        yield Trouble("bad", "Postgres does not answer")


def _processes(processes: Mapping[str, int], streams: Sequence[StreamStatus]) -> Iterator[Trouble]:
    """A consumer lives while its heartbeat is heard, which is known sooner than by its figures."""
    beating = {group.group: group.consumers for status in streams for group in status.groups}
    missing = [process for process, count in processes.items() if not beating.get(process, count)]
    if missing:
        yield Trouble("bad", f"{', '.join(missing)}: no process is alive")


def _gate(counts: Mapping[Key, float]) -> Iterator[Trouble]:
    for reason, shards in of_kind(counts, "gate").items():
        if shards:
            yield Trouble("bad", f"Scans of {_counted(shards, 'shard')} are refused: {reason}")
    for stream, lost in of_kind(counts, "lost").items():
        if lost:
            yield Trouble("bad", f"{stream}: {_counted(lost, 'entry', 'entries')} lost")
    for share in of_kind(counts, "memory").values():
        if share > MEMORY_SHARE:
            yield Trouble("warn", f"Redis uses {share:.0%} of its memory")
    for rows in of_kind(counts, "default_rows").values():
        if rows:
            yield Trouble("warn", f"{_counted(rows, 'row')} in the DEFAULT partition")


def _groups(streams: Sequence[StreamStatus]) -> Iterator[Trouble]:
    """The worst of each group's streams: a group has one cause to be behind, not one a shard."""
    worst: dict[str, tuple[float, int, int, str]] = {}
    for status in streams:
        for group in status.groups:
            here = (group.oldest_unacked_s, group.pending, group.lag or 0, status.stream)
            if group.registered and here > worst.get(group.group, (0.0, 0, 0, "")):
                worst[group.group] = here
    for name, (age_s, pending, lag, stream) in worst.items():
        if age_s > FALLING_BEHIND_S:
            severity: Severity = "bad" if age_s > BEHIND_S else "warn"
            yield Trouble(severity, f"{name}: oldest unacked {_spelled(age_s)} ({stream})")
        elif pending > PENDING_MAX:
            yield Trouble("warn", f"{name}: {pending:,} pending ({stream})")
        elif lag > LAG_MAX:
            yield Trouble("warn", f"{name}: {lag:,} behind ({stream})")


def _dead(streams: Sequence[StreamStatus]) -> Iterator[Trouble]:
    dead = sum(status.dead for status in streams)
    if dead:
        yield Trouble("bad", _counted(dead, "dead letter"), "/dead")


def _anchors(facts: Facts) -> Iterator[Trouble]:
    if facts.anchoring is None:
        return
    waiting = facts.anchoring.waiting
    if waiting.count and waiting.age_s > ROOTS_WAITING_S + facts.anchor_window_s:
        roots = _counted(waiting.count, "batch root")
        yield Trouble("bad", f"{roots} waiting for an anchor since {_spelled(waiting.age_s)}")
    for anchor in facts.anchoring.open:
        if anchor.status == "orphaned":
            yield Trouble("bad", "An anchor was orphaned by a reorganisation of the chain")
        elif anchor.error is not None and anchor.status != "included":
            yield Trouble("bad", f"The chain's server refuses an anchor: {anchor.error}")
        elif anchor.age_s > ANCHOR_OPEN_S and anchor.status != "included":
            yield Trouble("warn", f"No block takes an anchor since {_spelled(anchor.age_s)}")


def _strangers(streams: Sequence[StreamStatus]) -> Iterator[Trouble]:
    for status in streams:
        for group in status.groups:
            if not group.registered:
                yield Trouble("warn", f"{status.stream}: the group {group.group} is none of ours")


def _counted(count: float, one: str, many: str = "") -> str:
    return f"{count:,.0f} {one if count == 1 else many or one + 's'}"


def _spelled(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
