"""A clock that strikes: libuv's timers are good to a millisecond, which a scan takes less than."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import sys
from collections.abc import Callable, Iterator

_CLOCK_MONOTONIC = 1
_SHORTEST_S = 0.0005


class _Moment(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Interval(ctypes.Structure):
    _fields_ = (("every", _Moment), ("first", _Moment))


@contextlib.contextmanager
def ticking(every_s: float, strike: Callable[[], None]) -> Iterator[None]:
    """Call `strike` every `every_s` seconds, and no more often than every half millisecond."""
    every_s = max(every_s, _SHORTEST_S)
    with _timer(every_s, strike) if sys.platform == "linux" else _calls(every_s, strike):
        yield


@contextlib.contextmanager
def _timer(every_s: float, strike: Callable[[], None]) -> Iterator[None]:
    """By a timer of the kernel, which is good to some ten microseconds."""
    library = ctypes.CDLL(None, use_errno=True)
    descriptor = library.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "timerfd_create")
    loop = asyncio.get_running_loop()

    def struck() -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(descriptor, 8)
        strike()

    try:
        seconds, rest = divmod(round(every_s * 1e9), 1_000_000_000)
        every = _Interval(_Moment(seconds, rest), _Moment(seconds, rest))
        if library.timerfd_settime(descriptor, 0, ctypes.byref(every), None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")
        loop.add_reader(descriptor, struck)
        yield
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


@contextlib.contextmanager
def _calls(every_s: float, strike: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    handle: asyncio.TimerHandle

    def struck() -> None:
        nonlocal handle
        handle = loop.call_later(every_s, struck)
        strike()

    handle = loop.call_later(every_s, struck)
    try:
        yield
    finally:
        handle.cancel()
