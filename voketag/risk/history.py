"""A product's history: what the rules need to remember of its scans, in a bounded size.

History is a fold: `history.after(sighting)` gives the next one. Ingress folds what is accepted but
not yet scored onto the stored history to answer at once; the score group folds in order per product
and stores the result. Both run this code, so they cannot differ in how they count.
"""

from __future__ import annotations

import functools
from uuid import UUID

import msgspec

from voketag import identifiers
from voketag.events import HistorySummary, Location, Scan

REMEMBERED_COUNTRIES = 64
REMEMBERED_DEVICES = 64
REMEMBERED_TIMES = 64
REMEMBERED_DAYS = 10  # a scan may be 7 days late, so its day is among these
DEVICE_CHARACTERS = 16  # 64 bits of the fingerprint hash tell a product's devices apart
_DAY_MS = 86_400_000


class Sighting(msgspec.Struct, frozen=True, array_like=True):
    """A scan, reduced to what history keeps of it. Times in milliseconds since the epoch."""

    scan_id: UUID
    device: str
    country: str | None
    location: Location | None

    @property
    def at_ms(self) -> int:
        """When the scan was made."""
        return identifiers.at_ms(self.scan_id)


def sighting(scan: Scan) -> Sighting:
    """What history keeps of a scan."""
    device = scan.fingerprint_hash[:DEVICE_CHARACTERS]
    return Sighting(scan.scan_id, device, scan.country, scan.location)


class History(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered of a product's scans so far; the empty one knows of none."""

    scans: int = 0
    first_at_ms: int = 0
    last_at_ms: int = 0
    placed_at_ms: int = 0  # when the newest scan was made of which the place is known
    placed_country: str | None = None
    placed_location: Location | None = None
    countries: tuple[str, ...] = ()  # in order of first appearance
    devices: tuple[str, ...] = ()
    times_ms: tuple[int, ...] = ()  # of the newest scans, as they came
    days: tuple[int, ...] = ()  # UTC days since the epoch that had a scan, the newest
    month: int = 0  # the UTC month that `devices` are of, counted from year 0
    most_devices: int = 0  # the most there were in an earlier month

    def after(self, seen: Sighting) -> History:
        """The history once `seen` has been counted. A late scan moves `first`, never `last`."""
        at_ms = seen.at_ms
        placed = seen.country is not None or seen.location is not None
        moves = placed and at_ms >= self.placed_at_ms
        month, most_devices, devices = self._devices(seen.device, at_ms)
        return History(
            scans=self.scans + 1,
            first_at_ms=min(self.first_at_ms, at_ms) if self.scans else at_ms,
            last_at_ms=max(self.last_at_ms, at_ms),
            placed_at_ms=at_ms if moves else self.placed_at_ms,
            placed_country=seen.country if moves else self.placed_country,
            placed_location=seen.location if moves else self.placed_location,
            countries=_with(self.countries, seen.country, REMEMBERED_COUNTRIES),
            devices=devices,
            times_ms=(*self.times_ms[1 - REMEMBERED_TIMES :], at_ms),
            days=self.days
            if at_ms // _DAY_MS in self.days
            else tuple(sorted((*self.days, at_ms // _DAY_MS)))[-REMEMBERED_DAYS:],
            month=month,
            most_devices=most_devices,
        )

    def distinct_devices(self, device: str, at_ms: int) -> int:
        """The most devices of one month, with a scan by `device` at `at_ms` counted."""
        _, most_devices, devices = self._devices(device, at_ms)
        return max(most_devices, len(devices))

    def _devices(self, device: str, at_ms: int) -> tuple[int, int, tuple[str, ...]]:
        """Month, most devices of earlier months, and devices, after a scan.

        The hash of a device changes with the month (see addresses.PersonalHash), so devices of
        different months cannot be told apart, and must not add up: the one phone of an honest
        owner would become a crowd.
        """
        month = max(self.month, _month(at_ms // _DAY_MS))
        if month == self.month:
            return month, self.most_devices, _with(self.devices, device, REMEMBERED_DEVICES)
        return month, max(self.most_devices, len(self.devices)), (device,)

    def has_day_of(self, seen: Sighting) -> bool:
        """Whether the product was scanned already on the UTC day of `seen`."""
        return seen.at_ms // _DAY_MS in self.days

    def summary_with(self, seen: Sighting) -> HistorySummary:
        """What is told to the person who has made the scan `seen`, which counts."""
        first_at_ms = min(self.first_at_ms, seen.at_ms) if self.scans else seen.at_ms
        countries = _with(self.countries, seen.country, REMEMBERED_COUNTRIES)
        return HistorySummary(self.scans + 1, first_at_ms, countries)


@functools.lru_cache(maxsize=64)
def _month(day: int) -> int:
    date = identifiers.time_of_ms(day * _DAY_MS)
    return date.year * 12 + date.month - 1


def _with(known: tuple[str, ...], value: str | None, limit: int) -> tuple[str, ...]:
    """`known` and `value`, once; full is full, which only the rules' highest step can see."""
    if value is None or value in known or len(known) >= limit:
        return known
    return (*known, value)


EMPTY = History()
