"""What it costs to bring batches onto the chain, and how long until they are there for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from benchmarks.factories import pushing, started
from benchmarks.factories.factory import Factory
from benchmarks.section import Bench, Figure, Found, Section
from benchmarks.systems.voketag import NAME, programs_of

PRODUCTS = 1_000  # of a usual batch
MANY = 100
MOST = 10_000
AT_ONCE = 32
MADE_WITHIN_S = 240.0
FINAL_WITHIN_S = 120.0
LOOK_EVERY_S = 0.1
ROUNDS_MAX = 3

# The time from the batch's state `processing` to the end of that state, and from the moment in
# which its root was queued behind it.
_ANCHORED = """
    SELECT count(DISTINCT anchor_id)::int AS transactions,
           extract(epoch FROM max(completed_at - stored_at))::float8 AS from_processing_s,
           extract(epoch FROM max(completed_at) - min(queued_at))::float8 AS from_queued_s
    FROM batches JOIN anchor_roots USING (batch_id) WHERE batch_id = ANY($1)
"""
_GAS = """
    SELECT sum(gas_used)::bigint FROM anchors
    WHERE anchor_id IN (SELECT anchor_id FROM anchor_roots WHERE batch_id = ANY($1))
"""


@dataclass(frozen=True, slots=True)
class _Anchored:
    """Some batches that are final: the transactions that they share and the gas of these; the
    seconds that the slowest took from `processing`, and that all of them took from the first root.
    """

    transactions: int
    gas: int
    from_processing_s: float
    from_queued_s: float


async def measure(bench: Bench) -> Found:
    """Batches one at a time, a hundred at once, and as many as one transaction takes."""
    most = max(MANY, round(MOST * min(1.0, bench.scale)))
    async with started.voketag(bench.folder) as factory:
        alone, together = [], []
        for number in range(min(ROUNDS_MAX, bench.rounds)):
            alone.append(await _live(factory, 1))
            together.append(await _live(factory, MANY))
            bench.say(
                f"round {number + 1}: 1 batch final in {alone[-1].from_processing_s:.2f} s, "
                f"{MANY} in {together[-1].from_processing_s:.2f} s"
            )
        crowd = await _gathered(factory, most)
        bench.say(
            f"{most:,} batches: {crowd.transactions} transactions, {crowd.gas:,} gas, "
            f"{crowd.from_queued_s:.2f} s"
        )
    figures = [
        *_figures(1, PRODUCTS, alone),
        *_figures(MANY, PRODUCTS, together),
        *_figures(most, 1, [crowd], live=False),
    ]
    return Found(figures, notes=_notes(most))


async def _live(factory: Factory, batches: int) -> _Anchored:
    """Batches as they come, all at once."""
    ids = await pushing.make(factory, batches, PRODUCTS, batches, MADE_WITHIN_S)
    return await _final(factory, ids)


async def _gathered(factory: Factory, batches: int) -> _Anchored:
    """Batches whose roots all wait for one window. They take longer to be made than a window lasts,
    so the process that anchors is stopped meanwhile.
    """
    await factory.programs.stop("anchor")
    ids = await pushing.make(factory, batches, 1, AT_ONCE, MADE_WITHIN_S)
    await factory.programs.start(programs_of()["anchor"])
    return await _final(factory, ids)


async def _final(factory: Factory, ids: Sequence[UUID]) -> _Anchored:
    await factory.until(ids, "completed", within_s=FINAL_WITHIN_S, every_s=LOOK_EVERY_S)
    row = await factory.database.fetchrow(_ANCHORED, ids)
    assert row is not None
    return _Anchored(gas=await factory.database.fetchval(_GAS, ids), **row)


def _figures(
    batches: int, products: int, found: Sequence[_Anchored], *, live: bool = True
) -> list[Figure]:
    """Of some batches with so many products each."""
    several = "1 batch" if batches == 1 else f"{batches:,} batches"
    values: dict[tuple[str, str], tuple[float, ...]] = {
        ("transactions", "transactions"): tuple(one.transactions for one in found),
        ("gas of a batch", "gas"): tuple(one.gas / batches for one in found),
        (f"gas of a product, {products:,} a batch", "gas"): tuple(
            one.gas / (batches * products) for one in found
        ),
    }
    if live:
        times = tuple(one.from_processing_s for one in found)
        values["processing to final, the slowest", "s"] = times
    else:
        values["first root queued to last batch final", "s"] = tuple(
            one.from_queued_s for one in found
        )
    return [
        Figure(f"{several}: {what}", NAME, unit, amounts)
        for (what, unit), amounts in values.items()
    ]


def _notes(most: int) -> list[str]:
    notes = [
        "The development chain makes a block for each transaction, and one confirmation is enough, "
        "so the times are those of the default window of 2 s and of our own work.",
        f"The {most:,} batches have one product each, and their roots wait while the process that "
        "anchors is stopped; their time begins when it takes in the first.",
    ]
    if most < MOST:
        notes.append(f"{MOST:,} batches were to share a window; this shortened run made {most:,}.")
    return notes


SECTION = Section("anchoring", "Anchors: gas and time", measure)
