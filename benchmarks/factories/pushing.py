"""Batches on their way through a factory: how many at once, and how long one takes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from uuid import UUID

from benchmarks.factories.factory import Factory, NotMade

STORED = ("processing", "completed")
IN_FLIGHT_WITHIN_S = 60.0
LOOK_EVERY_S = 0.004  # to look more often costs the systems more than it tells


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
    """Products stored a second while `at_once` batches are made at any time. Raises NotMade."""
    began_s = time.perf_counter()
    await make(factory, batches, products, at_once, IN_FLIGHT_WITHIN_S)
    return batches * products / (time.perf_counter() - began_s)


async def make(
    factory: Factory, batches: int, products: int, at_once: int, within_s: float
) -> list[UUID]:
    """Make batches of so many products, `at_once` of them between POST and stored at any time.

    Gives their ids once all are stored. Raises NotMade.
    """
    deadline_s = time.monotonic() + within_s
    pushing: set[asyncio.Task[UUID]] = set()
    made: list[UUID] = []
    unstored: set[UUID] = set()
    while len(made) < batches or unstored:
        while len(made) + len(pushing) < batches and len(pushing) + len(unstored) < at_once:
            pushing.add(asyncio.create_task(factory.push(products)))
        answered = {task for task in pushing if task.done()}
        pushing -= answered
        accepted = [task.result() for task in answered]
        made += accepted
        unstored.update(accepted)
        if unstored:
            unstored -= await factory.reached(unstored, *STORED)
        if time.monotonic() > deadline_s:
            missing = batches - len(made) + len(unstored)
            raise NotMade(f"{factory.name}: {missing} of {batches} not stored in {within_s:g} s")
        await asyncio.sleep(LOOK_EVERY_S)
    return made
