"""The targets of the fuzzer, tried without it: any bytes give a value or the named error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.targets import TARGETS, WIRE_TYPES, seeds
from voketag import acceptance, events
from voketag.errors import Rejected

DEEP = 100_000
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.uuids().map(str),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@st.composite
def near(draw: st.DrawFn, name: str) -> bytes:
    """One of a target's seeds, with a piece of it replaced."""
    seed = draw(st.sampled_from(seeds()[name]))
    start = draw(st.integers(0, len(seed)))
    stop = draw(st.integers(start, min(len(seed), start + 8)))
    return seed[:start] + draw(st.binary(max_size=8)) + seed[stop:]


def test_every_target_has_something_to_start_from() -> None:
    assert set(seeds()) == set(TARGETS)
    for name, target in TARGETS.items():
        for seed in seeds()[name]:
            target(seed)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=100)
@given(data=st.data())
def test_any_bytes_give_a_value_or_the_named_error(name: str, data: st.DataObject) -> None:
    json_texts = values.map(lambda value: json.dumps(value).encode())
    TARGETS[name](data.draw(st.binary(max_size=200) | json_texts | near(name)))


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"detail":{"a":'])
def test_what_is_nested_deeply_is_no_exception(name: str, opening: bytes) -> None:
    TARGETS[name](opening * DEEP)


@pytest.mark.parametrize("kind", WIRE_TYPES)
def test_what_is_nested_deeply_is_rejected(kind: Any) -> None:
    whole = b'{"detail":' * DEEP + b"{}" + b"}" * DEEP
    with pytest.raises(Rejected):
        events.decode({"v": b"1", "event": whole}, kind)


def test_a_sighting_of_no_year_there_is_is_rejected() -> None:
    """The 48 bits of a UUIDv7's time reach beyond the year 9999."""
    (whole,) = seeds()["accepted_scan"]
    event, product, history, _, signals = whole.split(b"\x1e")
    tail = b'[["ffffffff-ffff-7fff-bfff-ffffffffffff","00",null,null]]'
    fields = {"v": b"1", "event": event, "product": product, "history": history, "tail": tail}
    with pytest.raises(Rejected):
        acceptance.decode(fields | {"signals": signals})
