"""What is measured each second, and whether a figure grows without bound."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from redis.asyncio import Redis

from voketag import topology
from voketag.ownership import LEASE_MS
from voketag.redis.stream_status import read_status

ENTRIES = "entries in the streams"
PENDING = "entries pending"
DEAD = "dead letters"
KEYS = "keys in Redis"
REDIS_BYTES = "memory Redis uses"
STREAM_BYTES = "memory of the streams"
COUNTS = (ENTRIES, PENDING, DEAD, KEYS)

# A shorter run says nothing: finished entries are kept for a minute, histories fill for two.
JUDGED_FROM_S = 300.0
# A figure that would have grown by half after an hour, and by this much, is not level. With half a
# run of five minutes that is 4 %; at 100 scans a second, a leak of about 100 bytes a scan.
GROWTH_MAX_PER_HOUR = 0.5
COUNT_MAX_PER_HOUR = 1000.0
BYTES_MAX_PER_HOUR = 8 * 2.0**20


@dataclass(frozen=True, slots=True)
class Sample:
    """The figures at one moment, in seconds since the load began; memory in bytes."""

    at_s: float
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Trend:
    """How one figure went. `per_hour` is the slope of a straight line through the second half of
    the samples (least squares); `grows` that it is not level there.
    """

    name: str
    first: float
    last: float
    maximum: float
    per_hour: float
    grows: bool


async def read_sample(redis: Redis, shards: int, home: Path, at_s: float) -> Sample:
    """The figures now: of Redis, and the resident memory of each process started on `home`."""
    groups = topology.groups_of(shards)
    status = await read_status(redis, groups, LEASE_MS)
    async with redis.pipeline(transaction=False) as pipeline:
        pipeline.dbsize()
        pipeline.info("memory")
        for stream in groups:
            pipeline.memory_usage(stream)
        found: list[Any] = await pipeline.execute()
    figures: dict[str, float] = {
        ENTRIES: sum(stream.length for stream in status),
        PENDING: sum(group.pending for stream in status for group in stream.groups),
        DEAD: sum(stream.dead for stream in status),
        KEYS: found[0],
        REDIS_BYTES: found[1]["used_memory"],
        STREAM_BYTES: sum(used or 0 for used in found[2:]),
    }
    return Sample(at_s, figures | resident(home))


def resident(home: Path) -> dict[str, float]:
    """The resident memory, in bytes, of each process whose id stands in the data directory.

    Postgres is left out: what its processes share would be counted many times.
    """
    found: dict[str, float] = {}
    for path in sorted((home / "pids").iterdir()):
        try:
            pid = int(path.read_text().split()[0])
            if path.name != "postgres":
                found[f"resident: {path.name}"] = psutil.Process(pid).memory_info().rss
        except (OSError, ValueError, IndexError, psutil.Error):
            continue  # it is being started again
    return found


def trends(samples: Sequence[Sample]) -> list[Trend]:
    """How each figure went that the first and the last sample have."""
    names = [name for name in samples[0].figures if name in samples[-1].figures]
    return [_trend(name, samples) for name in names]


def _trend(name: str, samples: Sequence[Sample]) -> Trend:
    points = [(at.at_s, at.figures[name]) for at in samples if name in at.figures]
    values = [value for _, value in points]
    half = points[len(points) // 2 :]
    times, later = [at_s for at_s, _ in half], [value for _, value in half]
    slope = statistics.linear_regression(times, later).slope if len(half) > 1 else 0.0
    per_hour = 3600 * slope
    least = COUNT_MAX_PER_HOUR if name in COUNTS else BYTES_MAX_PER_HOUR
    grows = per_hour > max(least, GROWTH_MAX_PER_HOUR * statistics.fmean(later))
    judged = points[-1][0] - points[0][0] >= JUDGED_FROM_S
    return Trend(name, values[0], values[-1], max(values), per_hour, judged and grows)
