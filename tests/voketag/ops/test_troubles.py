"""What is wrong, in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from voketag.identifiers import new_id
from voketag.ops.troubles import Facts, troubles
from voketag.records.anchoring_status import Anchoring, OpenAnchor
from voketag.records.anchors import Waiting
from voketag.redis.stream_status import GroupStatus, StreamStatus

SCORE = GroupStatus("score", True, 0, 0, None, 0.0, 1)
ANCHOR = OpenAnchor(
    new_id(), 1, "submitted", 1, 1, 5.0, b"\1" * 32, 10, 4.0, None, None, None, None
)
WELL = Facts(
    streams=[StreamStatus("scans:{0}", 10, 0, (SCORE,))],
    processes={"scan": 1, "score": 1},
    counts={("gate", "memory"): 0.0, ("lost", "scans:{0}"): 0.0, ("memory", ""): 0.2},
    anchoring=Anchoring(Waiting(3, 8.0), 1, (ANCHOR,), None),
    anchor_window_s=10.0,
)


def told(**changed: Any) -> list[str]:
    return [trouble.text for trouble in troubles(replace(WELL, **changed))]


def stream(dead: int = 0, **changed: Any) -> list[StreamStatus]:
    return [StreamStatus("scans:{0}", 10, dead, (replace(SCORE, **changed),))]


def anchoring(**changed: Any) -> Anchoring:
    anchor = {name: getattr(ANCHOR, name) for name in ANCHOR.__struct_fields__} | changed
    return Anchoring(Waiting(0, 0.0), 1, (OpenAnchor(**anchor),), None)


def test_all_is_well() -> None:
    assert told() == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"streams": None, "processes": None, "counts": {}}, "Redis does not answer"),
        ({"anchoring": None}, "Postgres does not answer"),
        ({"processes": {"scan": 0, "score": 1}}, "scan: no process is alive"),
        ({"streams": stream(consumers=0)}, "score: no process is alive"),
        ({"streams": stream(oldest_unacked_s=42.0)}, "score: oldest unacked 42 s (scans:{0})"),
        ({"streams": stream(oldest_unacked_s=7300.0)}, "score: oldest unacked 2 h (scans:{0})"),
        ({"streams": stream(pending=6000)}, "score: 6,000 pending (scans:{0})"),
        ({"streams": stream(lag=20_000)}, "score: 20,000 behind (scans:{0})"),
        ({"streams": stream(dead=1)}, "1 dead letter"),
        ({"streams": stream(dead=1200)}, "1,200 dead letters"),
        ({"streams": stream(registered=False)}, "scans:{0}: the group score is none of ours"),
        ({"counts": {("gate", "age"): 2.0}}, "Scans of 2 shards are refused: age"),
        ({"counts": {("lost", "scans:{0}"): 1.0}}, "scans:{0}: 1 entry lost"),
        ({"counts": {("memory", ""): 0.91}}, "Redis uses 91% of its memory"),
        ({"counts": {("default_rows", ""): 3.0}}, "3 rows in the DEFAULT partition"),
        (
            {"anchoring": Anchoring(Waiting(2, 900.0), 0, (), None)},
            "2 batch roots waiting for an anchor since 15 min",
        ),
        (
            {"anchoring": anchoring(status="orphaned")},
            "An anchor was orphaned by a reorganisation of the chain",
        ),
        (
            {"anchoring": anchoring(error="no funds: 0 wei")},
            "The chain's server refuses an anchor: no funds: 0 wei",
        ),
        ({"anchoring": anchoring(age_s=1200.0)}, "No block takes an anchor since 20 min"),
    ],
)
def test_each_thing_that_is_wrong_is_named(changed: dict[str, Any], expected: str) -> None:
    assert told(**changed) == [expected]


def test_a_group_is_named_once_with_its_worst_shard_and_the_worst_comes_first() -> None:
    shards = [
        StreamStatus(f"scans:{{{number}}}", 1, 0, (replace(SCORE, oldest_unacked_s=age_s),))
        for number, age_s in enumerate((31.0, 99.0, 45.0))
    ]
    found = told(streams=shards, counts={("memory", ""): 0.7})
    assert found == ["score: oldest unacked 99 s (scans:{1})", "Redis uses 70% of its memory"]


def test_what_is_not_known_is_not_wrong() -> None:
    assert told(streams=stream(lag=None)) == []
    assert told(anchoring=anchoring(sent_age_s=None, max_fee_per_gas=None, tx_hash=None)) == []
