"""Ending tasks that lose a cancellation."""

from __future__ import annotations

import asyncio
import contextlib

from voketag.tasks import end


async def test_f5_a_task_that_loses_its_first_cancellation_is_ended() -> None:
    lost = 0

    async def forgetful() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if lost == 2:
                    raise
                lost += 1

    tasks = [asyncio.create_task(forgetful()), asyncio.create_task(asyncio.sleep(60))]
    await asyncio.sleep(0)
    await end(*tasks)
    assert lost == 2
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task
