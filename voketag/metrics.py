"""Every metric of the pipeline, in one place.

Times are in seconds. Each process leaves its figures in Redis and ops serves those of all. The HTTP
processes serve their own as well, but of several copies on one port any may answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest

from voketag.own_process import OwnProcess

REGISTRY = CollectorRegistry()
_REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

REQUESTS = Counter(
    "voketag_http_requests_total",
    "HTTP requests answered, by route and status.",
    ("method", "route", "status"),
    registry=REGISTRY,
)
REQUEST_SECONDS = Histogram(
    "voketag_http_request_seconds",
    "Time from a request's head to its answer, by route.",
    ("route",),
    buckets=_REQUEST_BUCKETS,
    registry=REGISTRY,
)
SCANS = Counter(
    "voketag_scans_total",
    "Scans answered, by verdict; a bad signature is counted apart from an unknown product.",
    ("verdict",),
    registry=REGISTRY,
)
BAD_TOKENS = Counter(
    "voketag_bad_tokens_total", "Tokens we did not sign, rejected without I/O.", registry=REGISTRY
)
REFUSED = Counter(
    "voketag_scans_refused_total",
    "Scans not accepted, by reason: rate_limited, unavailable, forgetful, memory, age, waiting.",
    ("reason",),
    registry=REGISTRY,
)
GATE = Gauge(
    "voketag_shards_refused",
    "Shards whose scans are refused now, by reason: forgetful, memory, age.",
    ("reason",),
    registry=REGISTRY,
)
MEMORY_SHARE = Gauge(
    "voketag_redis_memory_share",
    "The memory that Redis has in use, as a share of what it may use.",
    registry=REGISTRY,
)
OLDEST_UNFINISHED_SECONDS = Gauge(
    "voketag_oldest_unfinished_seconds",
    "Age of the oldest scan of a shard that is not stored yet.",
    ("shard",),
    registry=REGISTRY,
)
REFUSED_KEYS = Counter(
    "voketag_keys_refused_total",
    "Requests refused unread because their address has guessed too many keys.",
    registry=REGISTRY,
)
REPLICA_READS = Counter(
    "voketag_replica_reads_total",
    "Reads meant for the replica, by how it did: answered, unavailable; lacking counts the answers "
    "that the primary had to complete.",
    ("outcome",),
    registry=REGISTRY,
)
REPLICA_LAG_BYTES = Gauge(
    "voketag_replica_lag_bytes",
    "What the primary has written and the replica does not show yet; absent where one of them does "
    "not answer.",
    ("replica",),
    registry=REGISTRY,
)
HANDLED = Counter(
    "voketag_entries_handled_total",
    "Stream entries handled and acknowledged.",
    ("stream", "group"),
    registry=REGISTRY,
)
HANDLE_SECONDS = Histogram(
    "voketag_handle_seconds",
    "Time a group takes for one batch of entries.",
    ("group",),
    buckets=_REQUEST_BUCKETS,
    registry=REGISTRY,
)
BURIED = Counter(
    "voketag_entries_buried_total",
    "Entries moved to the dead letters.",
    ("stream", "group"),
    registry=REGISTRY,
)
LOST = Counter(
    "voketag_entries_lost_total",
    "Entries deleted before they were handled: data loss, to be alarmed on.",
    ("stream", "group"),
    registry=REGISTRY,
)
GROUPS_GONE = Counter(
    "voketag_groups_gone_total",
    "Consumer groups found gone and made again: a flushed or older server, to be alarmed on.",
    ("stream", "group"),
    registry=REGISTRY,
)
TAKEN_OVER = Counter(
    "voketag_streams_taken_over_total",
    "Streams taken over from a process that was killed or stood still.",
    ("stream", "group"),
    registry=REGISTRY,
)
TRIMMED = Counter(
    "voketag_entries_trimmed_total",
    "Entries removed from a stream after every registered group had finished them.",
    ("stream",),
    registry=REGISTRY,
)
ANCHORS_OPEN = Gauge(
    "voketag_anchors_open", "Anchors that are signed and not final.", registry=REGISTRY
)
ROOTS_WAITING = Gauge(
    "voketag_roots_waiting", "Batch roots that no anchor commits yet.", registry=REGISTRY
)
ROOTS_WAITING_SECONDS = Gauge(
    "voketag_roots_waiting_seconds",
    "For how long the oldest batch root without an anchor has waited.",
    registry=REGISTRY,
)
BROADCASTS = Counter(
    "voketag_anchor_broadcasts_total",
    "Anchors handed to the chain's server, by its answer; `no funds` wants the account funded.",
    ("answer",),
    registry=REGISTRY,
)
ORPHANED = Counter(
    "voketag_anchors_orphaned_total",
    "Anchors that a reorganisation took off the chain; they are sent again.",
    registry=REGISTRY,
)
ANCHORS_FINAL = Counter(
    "voketag_anchors_final_total", "Anchors that became final.", registry=REGISTRY
)
ANCHOR_GAS = Counter(
    "voketag_anchor_gas_total",
    "Gas that anchors had used when they became final.",
    registry=REGISTRY,
)
OWN_PROCESS = OwnProcess(REGISTRY)
SPANS_LOST = Counter(
    "voketag_spans_lost_total",
    "Spans of traces that were lost, by cause: queue (no room), export (nobody took them).",
    ("cause",),
    registry=REGISTRY,
)
DEFAULT_PARTITION_ROWS = Gauge(
    "voketag_default_partition_rows",
    "Rows in a DEFAULT partition; anything but 0 means a missing partition.",
    registry=REGISTRY,
)
# How the streams stand, as ops reads it from Redis when it is asked for its metrics. What is not
# known is left out, never 0.
STREAM_LENGTH = Gauge(
    "voketag_stream_length", "Entries in a stream.", ("stream",), registry=REGISTRY
)
DEAD_LETTERS = Gauge(
    "voketag_dead_letters",
    "Entries that were given up and wait for somebody to look.",
    ("stream",),
    registry=REGISTRY,
)
GROUP_LAG = Gauge(
    "voketag_group_lag",
    "Entries not delivered to a group yet; absent where Redis does not know.",
    ("stream", "group"),
    registry=REGISTRY,
)
GROUP_PENDING = Gauge(
    "voketag_group_pending",
    "Entries delivered to a group and not acknowledged.",
    ("stream", "group"),
    registry=REGISTRY,
)
OLDEST_UNACKED_SECONDS = Gauge(
    "voketag_oldest_unacked_seconds",
    "Age of the oldest entry that a group has not finished, 0 where there is none.",
    ("stream", "group"),
    registry=REGISTRY,
)
GROUP_PROCESSES = Gauge(
    "voketag_group_processes",
    "Living processes of a registered group.",
    ("group",),
    registry=REGISTRY,
)
UNREGISTERED_GROUPS = Gauge(
    "voketag_unregistered_groups",
    "Groups of a stream that are none of ours: trimming does not wait for them.",
    ("stream",),
    registry=REGISTRY,
)
PROCESSES = Gauge(
    "voketag_processes",
    "Processes that have left their figures in the last seconds, by their name in the Procfile.",
    ("process",),
    registry=REGISTRY,
)
OF_STREAMS = (
    STREAM_LENGTH,
    DEAD_LETTERS,
    GROUP_LAG,
    GROUP_PENDING,
    OLDEST_UNACKED_SECONDS,
    GROUP_PROCESSES,
    UNREGISTERED_GROUPS,
)

# What is of the system and not of a process: ops reads it anew for each scrape.
OF_SYSTEM = (*OF_STREAMS, PROCESSES, REPLICA_LAG_BYTES)

Sample = tuple[str, dict[str, str], float]
_samples = msgspec.json.Decoder(list[Sample])


def snapshot() -> bytes:
    """This process's samples as JSON, but for those of metrics that it never touched and of those
    that are the system's.
    """
    samples: list[Sample] = [
        (sample.name, sample.labels, sample.value)
        for metric in _of_processes()
        if any(sample.value for sample in metric.samples if not sample.name.endswith("_created"))
        for sample in metric.samples
        if not sample.name.endswith("_created")
    ]
    return msgspec.json.encode(samples)


def samples_of(data: bytes) -> list[Sample]:
    """The samples of a snapshot: each one's name, labels and value."""
    return _samples.decode(data)


def exposition() -> bytes:
    """This process's own metrics in the Prometheus text format."""
    return generate_latest(REGISTRY)


def exposition_of_all(left: Mapping[tuple[str, str], bytes]) -> bytes:
    """The metrics of the system, and the snapshots of its processes, by (process, boot id), told
    apart by the labels `process` and `boot`.
    """
    return generate_latest(_Merged(left))


def _of_processes() -> Iterator[Metric]:
    names = _names_of_system()
    return (metric for metric in REGISTRY.collect() if metric.name not in names)


def _names_of_system() -> set[str]:
    return {metric.name for gauge in OF_SYSTEM for metric in gauge.describe()}


class _Merged:
    def __init__(self, left: Mapping[tuple[str, str], bytes]) -> None:
        self._left = left

    def collect(self) -> Iterator[Metric]:
        samples: dict[str, list[Sample]] = {}
        for (process, boot_id), data in self._left.items():
            for name, labels, value in samples_of(data):
                labelled = {**labels, "process": process, "boot": boot_id}
                samples.setdefault(name, []).append((name, labelled, value))
        of_system = _names_of_system()
        for metric in REGISTRY.collect():
            if metric.name not in of_system:
                metric.samples.clear()
            suffixes = _SUFFIXES.get(metric.type, ("",))
            for name in (metric.name + suffix for suffix in suffixes):
                for sample in samples.get(name, ()):
                    metric.add_sample(*sample)
            yield metric


_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
