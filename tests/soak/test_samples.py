"""Which figures are level and which grow."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from soak.samples import ENTRIES, REDIS_BYTES, Sample, Trend, trends

MIB = 2.0**20


def trend(value: Callable[[int], float], name: str = REDIS_BYTES, seconds: int = 600) -> Trend:
    """The trend of a figure that has this value in each second."""
    (found,) = trends([Sample(at_s, {name: value(at_s)}) for at_s in range(seconds + 1)])
    return found


def test_a_trend_says_where_it_began_and_ended_and_how_steeply() -> None:
    found = trend(lambda at_s: 100 * MIB + at_s * MIB)
    assert (found.first, found.last, found.maximum) == (100 * MIB, 700 * MIB, 700 * MIB)
    assert found.per_hour == pytest.approx(3600 * MIB)
    assert found.grows


@pytest.mark.parametrize(
    "value",
    [
        lambda _: 40 * MIB,
        lambda at_s: min(at_s, 200) * MIB,  # a phase in which something fills
        lambda at_s: 40 * MIB + (at_s % 5) * MIB,  # trimmed every five seconds
        lambda at_s: 40 * MIB + (500 * MIB if at_s == 450 else 0),  # an append-only file rewritten
        lambda at_s: 400 * MIB - at_s * MIB / 2,
        lambda at_s: 1 * MIB + at_s * MIB / 1000,  # 3.6 MiB an hour: too little to tell from noise
        lambda at_s: 40 * MIB + at_s * MIB / 200,  # 18 MiB an hour, less than half
    ],
)
def test_what_fills_swings_or_peaks_is_level(value: Callable[[int], float]) -> None:
    assert not trend(value).grows


def test_a_leak_of_two_hundred_bytes_a_scan_grows() -> None:
    assert trend(lambda at_s: 40 * MIB + at_s * 100 * 200).grows


def test_counts_have_a_measure_of_their_own() -> None:
    assert trend(lambda at_s: float(at_s), ENTRIES).grows
    assert not trend(lambda at_s: float(at_s % 7), ENTRIES).grows
    assert not trend(lambda at_s: at_s / 10, ENTRIES).grows  # 360 an hour


def test_a_short_run_is_not_judged() -> None:
    assert not trend(lambda at_s: at_s * MIB, seconds=60).grows


def test_a_process_that_was_started_again_is_followed_through_the_gap() -> None:
    samples = [Sample(at_s, {"resident: scan": 40 * MIB}) for at_s in range(400)]
    samples[250] = Sample(250, {})
    (found,) = trends(samples)
    assert (found.last, found.grows) == (40 * MIB, False)
