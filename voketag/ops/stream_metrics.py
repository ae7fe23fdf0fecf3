"""How the streams, the processes and the replica stand, as metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from voketag import metrics, topology
from voketag.records.replica import Reads
from voketag.redis.stream_status import StreamStatus


def show(streams: Sequence[StreamStatus]) -> None:
    """Set the gauges of the streams to these figures, and to nothing else: what is not known, or
    not there any more, must not stay as it was.
    """
    for gauge in metrics.OF_STREAMS:
        gauge.clear()
    for status in streams:
        stream = status.stream
        metrics.STREAM_LENGTH.labels(stream).set(status.length)
        metrics.DEAD_LETTERS.labels(stream).set(status.dead)
        strangers = [group for group in status.groups if not group.registered]
        metrics.UNREGISTERED_GROUPS.labels(stream).set(len(strangers))
        for group in status.groups:
            labels = (stream, group.group)
            metrics.GROUP_PENDING.labels(*labels).set(group.pending)
            metrics.OLDEST_UNACKED_SECONDS.labels(*labels).set(group.oldest_unacked_s)
            if group.lag is not None:
                metrics.GROUP_LAG.labels(*labels).set(group.lag)
            if group.registered:
                metrics.GROUP_PROCESSES.labels(group.group).set(group.consumers)


def show_processes(left: Collection[tuple[str, str]] | None) -> None:
    """Set the gauge of the processes, by the names and boot ids of those that left their figures;
    None where that is not known.
    """
    metrics.PROCESSES.clear()
    if left is not None:
        living = Counter(process for process, _ in left)
        for process in topology.PROCESSES:
            metrics.PROCESSES.labels(process).set(living[process])


async def show_lag(reads: Reads, replica_url: str | None) -> None:
    """Set the gauge of the replica, or take it away where nothing is known."""
    metrics.REPLICA_LAG_BYTES.clear()
    lag_bytes = await reads.lag_bytes()
    if replica_url is not None and lag_bytes is not None:
        replica = urlsplit(replica_url).netloc.rpartition("@")[2]  # without who we are there
        metrics.REPLICA_LAG_BYTES.labels(replica).set(lag_bytes)
