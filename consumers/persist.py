"""persist: stores scored scans in Postgres, each once, with the daily statistics."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from voketag import events
from voketag.consumer import Consumer
from voketag.events import ScoredScan
from voketag.process import Wires, run_consumer
from voketag.records import scans
from voketag.redis.connection import Command
from voketag.redis.streams import Entry
from voketag.traces import Tracer

BATCH = 1000
LINGER_S = 0.25  # a transaction costs what a hundred rows cost
# What a trace says of the step to a row.
_ROW = {
    "db.system.name": "postgresql",
    "db.operation.name": "COPY",
    "db.collection.name": "scan_events",
}


def build(wires: Wires) -> Consumer:
    """The consumer of the scored streams."""
    streams = tuple(events.scored(shard) for shard in range(wires.settings.shards))
    handle = partial(_handle, wires, wires.tracer("persist"))
    return Consumer("persist", streams, handle, batch=BATCH, linger_s=LINGER_S)


async def _handle(wires: Wires, tracer: Tracer, entries: Sequence[Entry]) -> Sequence[Command]:
    """One transaction for the batch; it is acknowledged only once that is committed."""
    with tracer.handling("persist", entries) as handling:
        scored = [events.decode(entry.fields or {}, ScoredScan) for entry in entries]
        with handling.step("COPY scan_events", _ROW):
            async with wires.database.transaction() as connection:
                await scans.store(connection, scored)
        await wires.intake.forget_soon(item.scan for item in scored)
    return ()


if __name__ == "__main__":
    run_consumer(build, database=True, partitions=True)
