"""Ending tasks, for certain, and pausing them, not for longer than needed."""

from __future__ import annotations

import asyncio
from typing import Any

CANCEL_AGAIN_S = 0.2


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks until they are done; what they raise is theirs.

    Once is not enough: before Python 3.12 `asyncio.wait_for`, through which the Redis client sends,
    loses a cancellation that comes in the instant in which what it waits for is done (bpo-37658).
    """
    while unfinished := [task for task in tasks if not task.done()]:
        for task in unfinished:
            task.cancel()
        await asyncio.wait(unfinished, timeout=CANCEL_AGAIN_S)


async def pause(pause_s: float, *woken_by: asyncio.Event) -> None:
    """Wait `pause_s` seconds, less where one of the events is set."""
    waits = [asyncio.create_task(event.wait()) for event in woken_by]
    try:
        await asyncio.wait(waits, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
