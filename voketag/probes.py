"""Bad tokens, summed in the process: a flood of forgeries costs no I/O and fills nothing.

Tokens we did not sign are counted by the keyed hash of address and device, in a bounded table that
is drained to Redis once a second, where it becomes a risk signal. What needs a limit but must cost
no I/O has a sliding window of its own, kept here.
"""

from __future__ import annotations

from dataclasses import dataclass

MINUTE_MS = 60_000
MOST_WINDOWS = 20_000
MOST_TALLIES = 20_000


@dataclass(slots=True)
class _Window:
    minute: int
    count: int
    previous: int


class RateLimit:
    """A sliding window of a minute for each of those who ask (an address, a factory), in this
    process alone and of bounded size.

    `limit` is what is allowed in a minute; 0 for no limit.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._windows: dict[str, _Window] = {}

    def wait_ms(self, who: str, now_ms: int, *, count: bool = True) -> int:
        """Count one, unless this only asks; gives 0, or the milliseconds to wait where the limit
        is used up.
        """
        if not self._limit:
            return 0
        minute, into_ms = divmod(now_ms, MINUTE_MS)
        window = self._windows.get(who)
        if window is None:
            if len(self._windows) >= MOST_WINDOWS:
                self._forget_old(minute)
            window = self._windows[who] = _Window(minute, 0, 0)
        elif window.minute != minute:
            window.previous = window.count if window.minute == minute - 1 else 0
            window.minute, window.count = minute, 0
        left = (MINUTE_MS - into_ms) / MINUTE_MS
        if window.previous * left + window.count + 1 > self._limit:
            return MINUTE_MS - into_ms
        window.count += count
        return 0

    def _forget_old(self, minute: int) -> None:
        """Make room: first those who were quiet, and if all are busy, all of them."""
        self._windows = {
            who: window for who, window in self._windows.items() if window.minute >= minute - 1
        }
        if len(self._windows) >= MOST_WINDOWS:
            self._windows.clear()


class ProbeTally:
    """Sums bad tokens by the keyed hash of address and device, until they are drained."""

    def __init__(self) -> None:
        self._tallies: dict[str, int] = {}

    def note(self, *hashes: str) -> None:
        """Count a bad token of an address and a device."""
        self.restore(dict.fromkeys(hashes, 1))

    def drain(self) -> dict[str, int]:
        """What was counted since the last drain, by hash."""
        tallies, self._tallies = self._tallies, {}
        return tallies

    def restore(self, tallies: dict[str, int]) -> None:
        """Add counts, such as those of a drain that could not be delivered.

        A full table goes on counting those it knows: under a flood from everywhere, what one
        address did is no longer the signal.
        """
        for hashed, count in tallies.items():
            if hashed in self._tallies or len(self._tallies) < MOST_TALLIES:
                self._tallies[hashed] = self._tallies.get(hashed, 0) + count
