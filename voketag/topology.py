"""Which groups read which streams: the one table that trimming and ops go by.

An entry is kept until every group that stands here for its stream has finished it. A group that
does not stand here pins nothing and is shown as a stranger. The keys that say which processes live
are named here too.
"""

from __future__ import annotations

from collections.abc import Mapping

from voketag import events

LISTENING = ("scan", "factory", "ops")  # the HTTP processes
# Every consumer process leaves its heartbeat and metrics under its group's name.
CONSUMERS = ("score", "persist", "register", "anchor", "notify", "maintain")
PROCESSES = (*LISTENING, *CONSUMERS)


def groups_of(shards: int) -> Mapping[str, tuple[str, ...]]:
    """The registered groups of each stream, in the order of `events.all_streams`."""
    by_kind = (
        (events.scans, ("score",)),
        (events.scored, ("persist",)),
        (events.batches, ("register",)),
    )
    table = {kind(shard): groups for kind, groups in by_kind for shard in range(shards)}
    return table | {events.ROOTS: ("anchor",), events.NOTICES: ("notify",)}


def members_key(group: str) -> str:
    """The sorted set of a group's living processes: boot ids by the time of their heartbeat, by the
    clock of Redis.
    """
    return f"members:{group}"


def metrics_key(group: str, boot_id: str) -> str:
    """Where a consumer process, which has no port, leaves its metrics."""
    return f"metrics:{group}:{boot_id}"
