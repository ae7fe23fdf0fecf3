"""Garbage collection as our processes have it, for what is measured in this one."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

from voketag.process import COLLECT_AFTER


@contextlib.contextmanager
def collected_seldom() -> Iterator[None]:
    """What is there at the beginning is spared, and garbage is looked for rarely, as
    `voketag.process.collect_seldom` has it in each process; undone at the end.
    """
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
