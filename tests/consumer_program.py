"""A consumer process whose handler does as its entries say, for tests that stop and kill it.

At the first attempt at an entry its field `do` says what: `await` for `s` seconds, `block` the
event loop for as long, `hold` the interpreter's lock for ever. While the entry was tried less than
`away` times, a server is away. `tried` counts the attempts.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Sequence

from tests.consuming import GROUP, OUT, STREAM
from voketag.consumer import STALL_S, Consumer
from voketag.errors import Unavailable
from voketag.ownership import LEASE_MS
from voketag.process import Wires, run_consumer
from voketag.redis.connection import Command
from voketag.redis.streams import Entry, add

TRIED = "tried"


def build(wires: Wires) -> Consumer:
    redis = wires.streams.redis

    async def handle(entries: Sequence[Entry]) -> Sequence[Command]:
        for entry in entries:
            fields = entry.fields or {}
            tried = await redis.hincrby(TRIED, fields["n"].decode(), 1)
            if tried == 1:
                await do(fields.get("do", b""), float(fields.get("s", b"0")))
            if tried < int(fields.get("away", b"0")):
                raise Unavailable("somewhere: connection refused")
        return [add(OUT, entry.fields or {}) for entry in entries]

    return Consumer(GROUP, (STREAM,), handle, batch=5)


async def do(what: bytes, for_s: float) -> None:
    if what == b"await":
        await asyncio.sleep(for_s)
    elif what == b"block":
        ends_s = time.monotonic() + for_s
        while time.monotonic() < ends_s:
            pass
    elif what == b"hold":
        re.match("(a+)+$", "a" * 60 + "b")  # goes back and forth for longer than anybody lives


if __name__ == "__main__":
    run_consumer(
        build,
        lease_ms=int(os.environ.get("LEASE_MS", LEASE_MS)),
        stall_s=float(os.environ.get("STALL_S", STALL_S)),
    )
