"""What a request and an entry carry: W3C Trace Context."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voketag.traces import OFF, UNTRACED, Parent, carried, parse

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@given(
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.integers(0, 255),
)
def test_it_is_read_as_it_was_written(trace_id: int, span_id: int, flags: int) -> None:
    text = f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}"
    assert parse(text) == Parent(trace_id, span_id, sampled=flags % 2 == 1)
    assert parse(carried(text)["traceparent"].decode()) == parse(text)


def test_a_later_version_may_say_more() -> None:
    known = Parent(int(TRACE, 16), int(SPAN, 16), sampled=True)
    assert parse(f"01-{TRACE}-{SPAN}-01-what-comes-after") == known
    assert parse(f"00-{TRACE}-{SPAN}-01-what-comes-after") is None


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f" 00-{TRACE}-{SPAN}-01",
    ],
)
def test_what_cannot_be_read_is_none(text: str | None) -> None:
    assert parse(text) is None


@given(st.text(max_size=80))
def test_anything_at_all_can_be_looked_at(text: str) -> None:
    parse(text)


def test_a_process_that_traces_nothing() -> None:
    assert OFF.request("POST", "/v1/scans", f"00-{TRACE}-{SPAN}-01") is None
    with OFF.handling("score", ()) as handling, handling.step("COPY", {}):
        assert handling is UNTRACED
    assert handling.onward is None
