"""Durations counted in log-linear buckets: bounded memory, and quantiles off by less than 1 %."""

from __future__ import annotations

# Below 128 us a bucket is one microsecond; above, each doubling is divided into 128 buckets.
_DIVISION_BITS = 7
_DIVISIONS = 1 << _DIVISION_BITS
_MAX_US = (1 << 36) - 1  # nineteen hours


class Histogram:
    """Counts whole microseconds."""

    def __init__(self) -> None:
        self.count = 0
        self.sum_us = 0
        self.max_us = 0
        self._buckets = [0] * (_bucket(_MAX_US) + 1)

    def record(self, duration_us: int) -> None:
        """Count a duration of microseconds; a longer one than nineteen hours counts as that."""
        self.count += 1
        self.sum_us += duration_us
        if duration_us > self.max_us:
            self.max_us = duration_us
        # As in _bucket, once more: a call would cost as much as all of it.
        shift = duration_us.bit_length() - _DIVISION_BITS - 1
        if shift <= 0:
            self._buckets[duration_us] += 1
        elif duration_us <= _MAX_US:
            self._buckets[(shift << _DIVISION_BITS) + (duration_us >> shift)] += 1
        else:
            self._buckets[-1] += 1

    @property
    def mean_us(self) -> float:
        """The mean, exactly; 0 where nothing was counted."""
        return self.sum_us / self.count if self.count else 0.0

    def quantile_us(self, percent: float) -> float:
        """What `percent` (0 to 100) of the durations do not exceed, to under 1 %; 0 of none."""
        wanted = max(1, -(-self.count * percent // 100))
        seen = 0
        for bucket, count in enumerate(self._buckets):
            seen += count
            if count and seen >= wanted:
                return min(_middle_us(bucket), float(self.max_us))
        return 0.0


def _bucket(duration_us: int) -> int:
    shift = max(0, duration_us.bit_length() - _DIVISION_BITS - 1)
    return (shift << _DIVISION_BITS) + (duration_us >> shift)


def _middle_us(bucket: int) -> float:
    shift = max(0, (bucket >> _DIVISION_BITS) - 1)
    low = (bucket - (shift << _DIVISION_BITS)) << shift
    return low + ((1 << shift) - 1) / 2
