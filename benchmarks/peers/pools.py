"""Connections of the Python peers to Postgres."""

from __future__ import annotations

from typing import Any

import asyncpg


def open_pool(url: str, size: int) -> asyncpg.Pool:
    """`size` warm connections, once this is awaited or entered. To give one back costs no round
    trip: nothing here changes a session, so that there is nothing to reset.
    """
    return asyncpg.create_pool(url, min_size=size, max_size=size, reset=_leave)


async def _leave(_: Any) -> None:
    """Instead of asyncpg's four statements."""
