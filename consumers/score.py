"""score: gives each accepted scan its score of record, in order per product.

Needs Redis alone. The history of a batch's products is read in one round trip; what follows from
the batch, new histories and scored entries, is written in the instant that acknowledges it.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from functools import partial
from uuid import UUID

from redis.asyncio import Redis

from voketag import acceptance, events, identifiers
from voketag.acceptance import Accepted
from voketag.consumer import Consumer
from voketag.errors import Rejected
from voketag.events import Scan, ScoredScan
from voketag.process import Wires, run_consumer
from voketag.redis import intake, top_products
from voketag.redis.connection import Command
from voketag.redis.streams import Entry, add
from voketag.risk.history import History, sighting
from voketag.traces import Handling, Tracer

BATCH = 400
LINGER_S = 0.1  # nobody waits for it: the answer was given from the same rules


def build(wires: Wires) -> Consumer:
    """The consumer of the scan streams."""
    shards = range(wires.settings.shards)
    streams = {events.scans(shard): shard for shard in shards}
    return Consumer(
        "score",
        tuple(streams),
        partial(_handle, wires, streams, wires.tracer("score")),
        batch=BATCH,
        linger_s=LINGER_S,
        burial=partial(_burial, streams),
    )


def _burial(shards: dict[str, int], entry: Entry) -> Sequence[Command]:
    """A scan that was given up waits for its score no longer; of one that cannot be read nobody
    knows which it was.
    """
    with contextlib.suppress(Rejected):
        scan = events.decode(entry.fields or {}, Scan)
        return [intake.forget_waiting(shards[entry.stream], scan)]
    return ()


async def _handle(
    wires: Wires, shards: dict[str, int], tracer: Tracer, entries: Sequence[Entry]
) -> Sequence[Command]:
    with tracer.handling("score", entries) as handling:
        return await _score(wires, shards[entries[0].stream], entries, handling)


async def _score(
    wires: Wires, shard: int, entries: Sequence[Entry], handling: Handling
) -> Sequence[Command]:
    accepted = [acceptance.decode(entry.fields or {}) for entry in entries]
    known = list(dict.fromkeys(item.scan.product_id for item in accepted if item.product))
    stored = await intake.histories(wires.streams.redis, shard, known)
    history = dict(zip(known, stored, strict=True))
    counting = await _count(wires.streams.redis, shard, accepted)
    return [*score_in_order(shard, accepted, history, handling.onward), *counting]


async def _count(redis: Redis, shard: int, accepted: Sequence[Accepted]) -> list[Command]:
    """The commands that count known products among the most scanned of their days."""
    days: dict[str, Counter[UUID]] = {}
    for item in accepted:
        if item.product is not None:
            day = identifiers.day_of_ms(item.scan.received_at_ms)
            days.setdefault(day, Counter())[item.scan.product_id] += 1
    commands: list[Command] = []
    for day, scanned in days.items():
        key = top_products.top_key(shard, day)
        before = await top_products.standing(redis, key, list(scanned))
        commands += top_products.counted(key, before, scanned)
    return commands


def score_in_order(
    shard: int,
    accepted: Sequence[Accepted],
    stored: dict[UUID, History | None],
    onward: Sequence[dict[str, bytes]] | None = None,
) -> list[Command]:
    """Score scans one after another, each from the history the ones before it left.

    `stored` holds each known product's history, None where Redis has none: then the one that was
    stored when the scan was accepted is taken. Not the one it was answered from: that counts scans
    which may have been buried since, and count when they are put back. `onward` is what each scored
    scan carries beside its event, see voketag/traces.py.
    """
    commands: list[Command] = []
    changed: dict[UUID, History] = {}
    for at, item in enumerate(accepted):
        product_id = item.scan.product_id
        before = changed.get(product_id) or stored.get(product_id) or item.stored
        seen = sighting(item.scan)
        record = acceptance.judge(item.scan, item.product, before, item.signals)
        answered = None
        if item.history != before and (told := item.told()) != record:
            answered = told
        scored = ScoredScan(
            scan=item.scan,
            assessment=record.assessment,
            product=item.product,
            history=record.history,
            answered=answered,
            first_of_day=item.product is not None and not before.has_day_of(seen),
        )
        if item.product is not None:
            changed[product_id] = before.after(seen)
            commands.append(intake.forget_waiting(shard, item.scan))
        fields = events.encode(scored)
        if onward is not None:
            fields |= onward[at]
        commands.append(add(events.scored(shard), fields))
    commands += [intake.remember(shard, key, history) for key, history in changed.items()]
    return commands


if __name__ == "__main__":
    run_consumer(build, redis_keeps=True)
