"""What processes counted in the last seconds, and percentiles of it."""

from __future__ import annotations

import pytest

from voketag import metrics
from voketag.ops.process_counts import Window, of_kind, quantile, read

ONE, OTHER = ("scan", "a"), ("scan", "b")


def test_of_requests_those_that_post_a_scan_are_read() -> None:
    window = Window(10.0)
    window.note(0.0, {ONE: read(metrics.snapshot())})
    metrics.REQUESTS.labels("POST", "/v1/scans", 200).inc()
    metrics.REQUESTS.labels("GET", "/v1/scans/{id}", 404).inc()
    metrics.REQUEST_SECONDS.labels("/v1/scans").observe(0.003)
    window.note(1.0, {ONE: read(metrics.snapshot())})
    grown = window.grown()
    assert grown is not None
    statuses, within = of_kind(grown[1], "status"), of_kind(grown[1], "within")
    assert {status for status, count in statuses.items() if count} == {"200"}
    assert (within["0.001"], within["0.005"], within["+Inf"]) == (0, 1, 1)


def test_a_window_has_what_grew_in_it_of_all_processes() -> None:
    window = Window(10.0)
    window.note(0.0, {ONE: {("status", "200"): 100.0}})
    assert window.grown() is None
    window.note(5.0, {ONE: {("status", "200"): 130.0}, OTHER: {("status", "200"): 7000.0}})
    assert window.grown() == (5.0, {("status", "200"): 30.0})
    window.note(9.0, {ONE: {("status", "200"): 130.0}, OTHER: {("status", "200"): 7010.0}})
    assert window.grown() == (9.0, {("status", "200"): 40.0})
    window.note(12.0, {OTHER: {("status", "200"): 7010.0, ("status", "503"): 2.0}})
    assert window.grown() == (12.0, {("status", "200"): 10.0, ("status", "503"): 2.0})
    window.note(16.0, {})
    assert window.grown() is None


def test_what_was_out_of_sight_for_a_moment_did_not_happen_now() -> None:
    window = Window(10.0)
    window.note(0.0, {})
    window.note(1.0, {ONE: {("status", "200"): 5000.0}})
    assert window.grown() == (1.0, {("status", "200"): 0.0})


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 0.001), (0.75, 0.002), (0.99, 0.01), (1.0, 0.01)]
)
def test_a_quantile_lies_straight_between_the_bounds(share: float, expected: float) -> None:
    within = {"0.001": 50.0, "0.003": 100.0, "0.01": 100.0, "+Inf": 100.0}
    if share > 0.75:
        within |= {"0.003": 75.0, "0.01": 75.0}  # a quarter lies above the last bound
    assert quantile(within, share) == pytest.approx(expected)


def test_there_is_no_quantile_of_nothing() -> None:
    assert quantile({}, 0.5) is None
    assert quantile({"0.001": 0.0, "+Inf": 0.0}, 0.5) is None
