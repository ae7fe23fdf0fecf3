"""Waiting until something has come about."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from voketag.client.errors import WaitTimeout

Value = TypeVar("Value")


async def until(
    what: str,
    probe: Callable[[], Awaitable[Value | None]],
    timeout_s: float,
    every_s: float = 0.01,
) -> Value:
    """The first value that `probe` gives, asked every so many seconds. Raises WaitTimeout."""
    ends_s = time.monotonic() + timeout_s
    while (value := await probe()) is None:
        if time.monotonic() > ends_s:
            raise WaitTimeout(f"{what}: not within {timeout_s:g} s")
        await asyncio.sleep(every_s)
    return value
