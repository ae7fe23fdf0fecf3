"""The gate: what closes it, and that it does not flutter."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voketag.backpressure import (
    MEMORY_ACCEPTED_BELOW,
    MEMORY_REFUSED_FROM,
    Gate,
    Pressure,
)

SHED_AFTER_S = 100.0


def refusals(gate: Gate, *measured: Pressure) -> list[tuple[str | None, ...]]:
    """What the gate says of each of three shards after each measurement."""
    said: list[tuple[str | None, ...]] = []
    for pressure in measured:
        gate.note(pressure)
        said.append(tuple(gate.refusal(shard) for shard in range(3)))
    return said


def test_a_gate_that_has_measured_nothing_is_open() -> None:
    assert Gate(SHED_AFTER_S).refusal(0) is None


def test_f6_a_full_memory_closes_all_shards_until_it_is_well_below() -> None:
    shares = (0.84, 0.85, 0.8, None, 0.75, 0.74, 0.84, 0.86)
    said = refusals(Gate(SHED_AFTER_S), *(Pressure(share, (0.0, 0.0, 0.0)) for share in shares))
    closed = [False, True, True, True, True, False, False, True]
    assert said == [("memory",) * 3 if shut else (None,) * 3 for shut in closed]


def test_f6_an_old_entry_closes_its_own_shard_until_it_is_well_below() -> None:
    ages = (99.0, 100.0, 80.0, 75.0, 74.0, 99.0)
    said = refusals(Gate(SHED_AFTER_S), *(Pressure(0.1, (0.0, age_s, 0.0)) for age_s in ages))
    closed = [False, True, True, True, False, False]
    assert said == [(None, "age" if shut else None, None) for shut in closed]


def test_f1_a_forgetful_redis_comes_before_all_else() -> None:
    gate = Gate(SHED_AFTER_S)
    bad = Pressure(0.99, (1000.0, 0.0, 0.0), ("appendfsync is no",))
    assert refusals(gate, bad) == [("forgetful",) * 3]
    assert gate.faults == ("appendfsync is no",)
    assert refusals(gate, Pressure(0.99, (1000.0, 0.0, 0.0))) == [("memory",) * 3]
    assert refusals(gate, Pressure(0.1, (1000.0, 0.0, 0.0))) == [("age", None, None)]


@given(st.lists(st.floats(0, 1.2)))
def test_f6_between_the_bounds_nothing_changes(shares: list[float]) -> None:
    gate = Gate(SHED_AFTER_S)
    was = gate.refusal(0)
    for share in shares:
        gate.note(Pressure(share, (0.0,)))
        now = gate.refusal(0)
        if now != was:
            assert share >= MEMORY_REFUSED_FROM if now else share < MEMORY_ACCEPTED_BELOW
        was = now
