"""notify: passes each notice on to whoever listens for its factory at this moment.

Nothing is kept for those who do not: what a notice says can be asked for at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from voketag import events, notices
from voketag.consumer import Consumer
from voketag.events import Notice
from voketag.process import Wires, run_consumer
from voketag.redis.connection import Command
from voketag.redis.streams import Entry
from voketag.traces import Tracer


def build(wires: Wires) -> Consumer:
    """The consumer of the notices."""
    return Consumer("notify", (events.NOTICES,), partial(_handle, wires.tracer("notify")))


async def _handle(tracer: Tracer, entries: Sequence[Entry]) -> Sequence[Command]:
    """Publish in the instant that acknowledges: each notice once, however often a reply is lost."""
    with tracer.handling("notify", entries):
        heard = [events.decode(entry.fields or {}, Notice) for entry in entries]
    return [
        ("PUBLISH", notices.channel(notice.factory_id), events.to_json(notice)) for notice in heard
    ]


if __name__ == "__main__":
    run_consumer(build)
