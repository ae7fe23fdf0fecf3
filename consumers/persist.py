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

BATCH = 1000
LINGER_S = 0.25  # a transaction costs what a hundred rows cost


def build(wires: Wires) -> Consumer:
    """The consumer of the scored streams."""
    streams = tuple(events.scored(shard) for shard in range(wires.settings.shards))
    return Consumer("persist", streams, partial(_handle, wires), batch=BATCH, linger_s=LINGER_S)


async def _handle(wires: Wires, entries: Sequence[Entry]) -> Sequence[Command]:
    """One transaction for the batch; it is acknowledged only once that is committed."""
    scored = [events.decode(entry.fields or {}, ScoredScan) for entry in entries]
    async with wires.database.transaction() as connection:
        await scans.store(connection, scored)
    await wires.intake.forget_soon(item.scan for item in scored)
    return ()


if __name__ == "__main__":
    run_consumer(build, database=True, partitions=True)
