"""A histogram's quantiles are those of the durations themselves, to less than 1 %."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from benchmarks.load.histogram import Histogram

DURATIONS_US = some.lists(some.integers(0, 3_600_000_000), min_size=1, max_size=200)
PERCENTS = some.floats(0, 100)


def counted(durations_us: list[int]) -> Histogram:
    histogram = Histogram()
    for duration_us in durations_us:
        histogram.record(duration_us)
    return histogram


@given(DURATIONS_US, PERCENTS)
def test_quantiles_are_off_by_less_than_one_percent(durations: list[int], percent: float) -> None:
    exact = sorted(durations)[max(1, math.ceil(len(durations) * percent / 100)) - 1]
    assert counted(durations).quantile_us(percent) == pytest.approx(exact, rel=0.01, abs=0.5)


@given(DURATIONS_US)
def test_mean_count_and_maximum_are_exact(durations: list[int]) -> None:
    histogram = counted(durations)
    assert histogram.count == len(durations)
    assert histogram.mean_us == pytest.approx(sum(durations) / len(durations))
    assert histogram.max_us == max(durations)


def test_an_empty_one_has_nothing_to_say() -> None:
    histogram = Histogram()
    assert (histogram.mean_us, histogram.quantile_us(99), histogram.max_us) == (0.0, 0.0, 0)


def test_what_is_too_long_still_counts() -> None:
    histogram = counted([1 << 50])
    assert histogram.count == 1
    assert histogram.max_us == 1 << 50
