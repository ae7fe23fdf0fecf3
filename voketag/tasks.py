"""Ending tasks, for certain."""

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
