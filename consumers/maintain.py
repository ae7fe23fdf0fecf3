"""maintain: what has to be done from time to time, by one process at a time.

Partitions made ahead and dropped by age, streams trimmed, batches whose event was lost published
again, recalls and reports told to a Redis that does not know them. Each duty can be done again at
any time.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from voketag import events, identifiers, metrics, standing, topology
from voketag.backpressure import MEMORY_ACCEPTED_BELOW
from voketag.consumer import Consumer
from voketag.errors import Unavailable
from voketag.events import BatchAccepted
from voketag.ownership import LEASE_MS
from voketag.process import Wires, run_consumer
from voketag.records import batches, partitions, reports
from voketag.redis.connection import Command
from voketag.redis.pressure import memory_share
from voketag.redis.stream_status import read_status
from voketag.redis.streams import Entry
from voketag.redis.trimming import trim

TICK_S = 1.0
TRIM_EVERY_S = 1.0  # little at a time: Redis does nothing else meanwhile
# Finished entries stay in their stream for so long, and not many more than so many of them, for
# whoever tails it. What stays is written again whenever Redis rewrites its log.
KEPT_MS = 60_000
KEPT_MOST = 5_000
SCANS_LATE_BY = timedelta(days=7)  # how old the scan of an offline phone may be
MONTHS_AHEAD = 4
# How long a factory process may take from storing a batch to announcing it. One that takes longer
# only has its batch announced twice, which makes it once.
ANNOUNCED_WITHIN = timedelta(seconds=2)
ANNOUNCED_AGAIN_AFTER_S = 60.0
# For longer than a product stays in Redis (redis.intake.PRODUCT_TTL_S).
REPORTS_TOLD_FOR = timedelta(hours=2)
REPORTED_AT_ONCE = 500  # products
log = structlog.get_logger()


@dataclass(frozen=True)
class Duty:
    """Something to be done every `every_s` seconds; `alone` by one process at a time."""

    name: str
    every_s: float
    work: Callable[[], Awaitable[None]]
    alone: bool = True


def build(wires: Wires) -> Consumer:
    """The consumer that reads no stream and only ticks."""
    return Consumer("maintain", (), _no_entries, tick=Maintenance(wires).tick)


def utc_now() -> datetime:
    """The time by this machine's clock."""
    return datetime.now(UTC)


async def _no_entries(entries: Sequence[Entry]) -> Sequence[Command]:
    raise RuntimeError(f"maintain reads no stream and was given {len(entries)} entries")


class Maintenance:
    """The duties over their wires, and when each was done last. `now` is the time in UTC."""

    def __init__(self, wires: Wires, now: Callable[[], datetime] = utc_now) -> None:
        self._wires = wires
        self._now = now
        self._done_s: dict[str, float] = {}
        self._announced_s: dict[UUID, float] = {}
        self.duties = (
            # Without Postgres, streams that are finished with must be trimmed all the same.
            Duty("trim", TRIM_EVERY_S, self.trim_streams, alone=False),
            Duty("announce", TICK_S, self.announce_batches),
            Duty("recalls", 30.0, self.reconcile_recalls),
            Duty("reports", 30.0, self.reconcile_reports),
            Duty("default_partition", 60.0, self.watch_default_partition),
            Duty("ensure_partitions", 3600.0, self.ensure_partitions),
            Duty("drop_partitions", 3600.0, self.drop_partitions),
        )

    async def tick(self) -> float:
        """Do what is due. A duty that fails does not hold up the others and is due again."""
        now_s = time.monotonic()
        due = [
            duty
            for duty in self.duties
            if now_s - self._done_s.get(duty.name, -duty.every_s) >= duty.every_s * 0.99
        ]
        await self._do([duty for duty in due if not duty.alone])
        await self._do_alone([duty for duty in due if duty.alone])
        return TICK_S

    async def _do_alone(self, duties: Sequence[Duty]) -> None:
        """The lock has a connection of its own; the duties work on others."""
        async with self._wires.database.transaction() as connection:
            if await partitions.lock_maintenance(connection):
                await self._do(duties)

    async def _do(self, duties: Sequence[Duty]) -> None:
        for duty in duties:
            try:
                await duty.work()
            except Unavailable as error:
                log.warning("waiting", duty=duty.name, error=str(error))
            except Exception as error:
                log.exception("duty failed", duty=duty.name, exc_info=error)
            else:
                self._done_s[duty.name] = time.monotonic()

    # ------------------------------------------------------------------ Redis

    async def trim_streams(self) -> None:
        """Remove from each stream what every registered group has finished; of a Redis that fills
        up at once, whoever tails it.
        """
        redis = self._wires.streams.redis
        share = await memory_share(redis)
        kept_ms = 0 if share is not None and share >= MEMORY_ACCEPTED_BELOW else KEPT_MS
        away: Unavailable | None = None
        for stream, groups in topology.groups_of(self._wires.settings.shards).items():
            try:
                removed = await trim(redis, stream, groups, kept_ms, KEPT_MOST)
            except Unavailable as error:  # of a cluster another server may answer
                away = error
                continue
            if removed:
                metrics.TRIMMED.labels(stream).inc(removed)
        if away is not None:
            raise away

    async def reconcile_recalls(self) -> None:
        """Tell Redis every recalled batch: one that was flushed has forgotten them."""
        async with self._wires.database.connection() as connection:
            recalled = await batches.recalled(connection)
        await self._wires.intake.recall_all(recalled)

    async def reconcile_reports(self) -> None:
        """Tell Redis again what the reports of a product come to, where one was made or changed of
        late: whoever should have told may have failed in between. Of any other product it is told
        with the product itself, which Redis keeps for an hour.
        """
        since, after = self._now() - REPORTS_TOLD_FOR, None
        while True:
            async with self._wires.database.connection() as connection:
                changed = await reports.changed_since(connection, since, after, REPORTED_AT_ONCE)
                standings = await reports.standings_of(connection, changed)
            for told in standings:
                await standing.tell_reporters(self._wires.intake, told)
            if len(changed) < REPORTED_AT_ONCE:
                return
            after = changed[-1]

    async def announce_batches(self) -> None:
        """Publish pending batches again whose event cannot be in the stream any more.

        Where the register group still has an entry to finish that is as old as the batch, the
        batch may be in it or after it: it is left to wait.
        """
        since = self._now() - ANNOUNCED_WITHIN
        async with self._wires.database.connection() as connection:
            pending = await batches.pending_since(connection, since)
        now_s = time.monotonic()
        self._announced_s = {
            batch_id: at_s
            for batch_id, at_s in self._announced_s.items()
            if now_s - at_s < ANNOUNCED_AGAIN_AFTER_S
        }
        waiting = [batch_id for batch_id in pending if batch_id not in self._announced_s]
        if not waiting:
            return
        reached_ms = await self._reached_ms()
        for batch_id in waiting:
            stream = events.batches(events.shard_of(batch_id, self._wires.settings.shards))
            sent_by_ms = identifiers.at_ms(batch_id) + ANNOUNCED_WITHIN // timedelta(milliseconds=1)
            oldest_ms = reached_ms[stream]
            if oldest_ms is None or oldest_ms > sent_by_ms:
                await self._wires.streams.publish(stream, events.encode(BatchAccepted(batch_id)))
                self._announced_s[batch_id] = now_s
                log.warning("batch published again", batch_id=str(batch_id))

    async def _reached_ms(self) -> dict[str, int | None]:
        """The time of the oldest unfinished entry of each stream of batches, None: all finished."""
        shards = self._wires.settings.shards
        streams = [events.batches(shard) for shard in range(shards)]
        table = {name: topology.groups_of(shards)[name] for name in streams}
        statuses = await read_status(self._wires.streams.redis, table, LEASE_MS)
        reached: dict[str, int | None] = {}
        for status in statuses:
            oldest = [
                group.oldest_unacked_ms
                for group in status.groups
                if group.registered and group.oldest_unacked_ms is not None
            ]
            reached[status.stream] = min(oldest, default=None)
        return reached

    # ------------------------------------------------------------------ Postgres

    async def ensure_partitions(self) -> None:
        """Have the months of scans and products ready long before anything falls into them."""
        async with self._wires.database.transaction() as connection:
            since = self._now() - SCANS_LATE_BY
            made = await partitions.ensure(connection, since, MONTHS_AHEAD)
        if made:
            log.info("partitions made", count=made)

    async def drop_partitions(self) -> None:
        """Drop the scans of months that ended longer ago than they are to be kept."""
        oldest = months_before(self._now(), self._wires.settings.retention_months)
        async with self._wires.database.connection() as connection:
            months = await partitions.scan_months(connection)
        for partition, ended in months:
            if ended <= oldest:
                async with self._wires.database.transaction() as connection:
                    await partitions.drop_scan_month(connection, partition)
                log.info("partition dropped", partition=partition)

    async def watch_default_partition(self) -> None:
        """Scans whose month was missing: say so loudly, make it and move them there.

        Where a month is long past, its time to be dropped comes with the next round.
        """
        async with self._wires.database.connection() as connection:
            rows = await partitions.default_rows(connection)
        metrics.DEFAULT_PARTITION_ROWS.set(rows)
        if rows:
            log.error("scans lie in the DEFAULT partition", rows=rows)
            async with self._wires.database.transaction() as connection:
                made = await partitions.empty_default(connection)
            log.info("scans moved from the DEFAULT partition", months=made)


def months_before(moment: datetime, months: int) -> datetime:
    """The beginning of the UTC month that lies `months` before that of `moment`."""
    month = moment.year * 12 + moment.month - 1 - months
    return datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)


if __name__ == "__main__":
    run_consumer(build, database=True)
