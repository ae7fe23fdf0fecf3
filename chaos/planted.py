"""persist with a bug on purpose: it acknowledges first and stores after. The audit must see it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from consumers import persist
from voketag.consumer import Consumer
from voketag.process import Wires, run_consumer
from voketag.redis.connection import Command
from voketag.redis.streams import Entry

LATE_BY_S = 0.3


def build(wires: Wires) -> Consumer:
    """The consumer of the scored streams, which says "done" before it is."""
    sound = persist.build(wires)
    storing: set[asyncio.Task[Sequence[Command]]] = set()

    async def store(entries: Sequence[Entry]) -> Sequence[Command]:
        await asyncio.sleep(LATE_BY_S)
        return await sound.handle(entries)

    async def handle(entries: Sequence[Entry]) -> Sequence[Command]:
        task = asyncio.create_task(store(entries))
        storing.add(task)
        task.add_done_callback(storing.discard)
        return ()

    return replace(sound, handle=handle)


if __name__ == "__main__":
    run_consumer(build, database=True)
