"""Garbage collection of the Python peers."""

from __future__ import annotations

import gc

# Every request leaves cycles behind: at Python's own 700 objects, to look for them takes a third of
# an API's time.
_COLLECT_AFTER = 50_000


def collect_seldom() -> None:
    """Called once everything is open: what is there by now stays, and is never looked through."""
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
