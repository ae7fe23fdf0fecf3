"""Faults are drawn from a seed, so that a run that finds something can be had again."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from chaos.faults import Fault, Faults

PROGRAMS = ("scan", "persist", "persist.2")


def drawn(faults: Faults, kills_most: int = 3) -> Iterator[list[Fault]]:
    while True:
        yield faults.draw(kills_most)


def test_a_seed_draws_the_same_faults_again() -> None:
    first = list(islice(drawn(Faults(7, PROGRAMS)), 100))
    assert list(islice(drawn(Faults(7, PROGRAMS)), 100)) == first
    assert list(islice(drawn(Faults(8, PROGRAMS)), 100)) != first


def test_everything_is_hit_in_every_way() -> None:
    faults = [fault for round_ in islice(drawn(Faults(1, PROGRAMS)), 2000) for fault in round_]
    servers = {"redis", "postgres", "chain"}
    assert {fault.target for fault in faults if fault.kind == "kill"} == {*PROGRAMS, *servers}
    assert {fault.target for fault in faults if fault.kind == "lose"} == servers
    assert {"kill", "stop", "cut", "lose", "delay", "freeze", "reorg", "drop"} <= {
        fault.kind for fault in faults
    }


def test_no_more_is_killed_than_is_left_to_kill() -> None:
    for round_ in islice(drawn(Faults(1, PROGRAMS), kills_most=1), 500):
        assert sum(fault.kind == "kill" for fault in round_) <= 1
        assert len({fault.target for fault in round_}) == len(round_)


def test_only_what_is_named_is_killed_and_nothing_else_happens() -> None:
    faults = [
        fault for round_ in islice(drawn(Faults(1, PROGRAMS, "persist")), 50) for fault in round_
    ]
    assert {(fault.kind, fault.target) for fault in faults} == {
        ("kill", "persist"),
        ("kill", "persist.2"),
    }
