"""When to try again: exponential backoff with full jitter, and what Retry-After asks for.

Full jitter, because clients that all lost the same server should not all come back at once.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from voketag.client.errors import ApiError, ProblemError, TransportError

BUSY = 429
# The service, or a proxy before it, could not do it at the moment; whether it did is not said.
TEMPORARY = frozenset({502, 503, 504})
_DOUBLINGS_MAX = 20


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before trying again: up to `first_s`, doubled each time up to `most_s`."""

    first_s: float = 0.1
    most_s: float = 5.0

    def wait_s(self, failures: int, retry_after_s: float | None, chance: float) -> float:
        """The wait after so many failures in a row; `chance` is a random number from 0 to 1.

        What the service asked for is waited in full, and the jitter on top of it.
        """
        doublings = min(failures - 1, _DOUBLINGS_MAX)
        return (retry_after_s or 0.0) + chance * min(self.most_s, self.first_s * 2.0**doublings)


def may_repeat(error: ApiError, *, repeatable: bool) -> bool:
    """Whether a request that failed so may be sent again.

    `repeatable` says that it is done once however often it is sent. One that is not is sent again
    only where it is certain that nothing was done.
    """
    if isinstance(error, ProblemError):
        return error.status == BUSY or (repeatable and error.status in TEMPORARY)
    if isinstance(error, TransportError):
        return repeatable or not error.sent
    return False


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """The header Retry-After in seconds from `now` (RFC 9110, section 10.2.3): a number, or a date.
    None where there is none that can be read.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


class Patience:
    """The time there is for one call, with all its attempts."""

    def __init__(self, timeout_s: float, backoff: Backoff) -> None:
        self._ends_s = time.monotonic() + timeout_s
        self._backoff = backoff
        self._failures = 0

    @property
    def left_s(self) -> float:
        """Seconds until the time is over; not negative."""
        return max(0.0, self._ends_s - time.monotonic())

    def wait_s(self, error: ApiError) -> float | None:
        """How long to wait after one more failure; None where the time would be over then."""
        self._failures += 1
        asked_s = error.retry_after_s if isinstance(error, ProblemError) else None
        wait_s = self._backoff.wait_s(self._failures, asked_s, random.random())
        return wait_s if wait_s < self.left_s else None
