"""Batches on their way through a factory: how many at once, and how long one takes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from uuid import UUID

from benchmarks.factories.factory import POLL_EVERY_S, Factory, NotMade

STORED = ("processing", "completed")
IN_FLIGHT_WITHIN_S = 60.0


@dataclass(frozen=True)
class Took:
    """The seconds from the beginning of a POST: to 202, to all products stored, to final."""

    accepted_s: float
    stored_s: float
    completed_s: float


async def one(factory: Factory, products: int, within_s: float) -> Took:
    """Make one batch to its end. Raises NotMade."""
    began_s = time.perf_counter()
    batch_id = await factory.push(products)
    accepted_s = time.perf_counter() - began_s
    await factory.until([batch_id], *STORED, within_s=within_s)
    stored_s = time.perf_counter() - began_s
    await factory.until([batch_id], "completed", within_s=within_s)
    return Took(accepted_s, stored_s, time.perf_counter() - began_s)


async def until_stored_s(factory: Factory, products: int, within_s: float) -> float:
    """Make one batch; the seconds from its POST until its products are stored. Raises NotMade."""
    began_s = time.perf_counter()
    batch_id = await factory.push(products)
    await factory.until([batch_id], *STORED, within_s=within_s)
    return time.perf_counter() - began_s


async def in_flight_per_s(factory: Factory, batches: int, products: int, at_once: int) -> float:
    """Make batches of so many products, `at_once` of them between POST and stored at any time.

    Gives the products stored a second. Raises NotMade.
    """
    began_s = time.perf_counter()
    pushed = 0
    pushing: set[asyncio.Task[UUID]] = set()
    open_ids: set[UUID] = set()
    while pushed < batches or pushing or open_ids:
        while pushed < batches and len(pushing) + len(open_ids) < at_once:
            pushing.add(asyncio.create_task(factory.push(products)))
            pushed += 1
        answered = {task for task in pushing if task.done()}
        pushing -= answered
        open_ids |= {task.result() for task in answered}
        if open_ids:
            open_ids -= await factory.reached(open_ids, *STORED)
        if time.perf_counter() - began_s > IN_FLIGHT_WITHIN_S:
            raise NotMade(f"{factory.name}: {len(open_ids)} batches of {pushed} not stored")
        await asyncio.sleep(POLL_EVERY_S)
    return batches * products / (time.perf_counter() - began_s)
