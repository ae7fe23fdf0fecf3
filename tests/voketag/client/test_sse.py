"""Server-sent events as a client reads them, and as our services write them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voketag.client.sse import EventReader, ServerEvent
from voketag.http import sse


def read(*lines: str) -> list[ServerEvent]:
    reader = EventReader()
    events = (reader.line(line.encode() + b"\n") for line in lines)
    return [event for event in events if event is not None]


def test_an_event_is_its_lines_until_an_empty_one() -> None:
    lines = ("retry: 2000", "", ": a comment", "event: beat", "id: 7", "data: a", "data:  b", "")
    assert read(*lines) == [ServerEvent("beat", "7", "a\n b")]


def test_an_event_without_data_is_none_and_its_id_is_kept() -> None:
    assert read("event: beat", "id: 7", "", "data", "") == [ServerEvent("message", "7", "")]
    assert read("data: not ended") == []
    assert read("id: 1", "id: a\x00b", "data: x", "") == [ServerEvent("message", "1", "x")]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_what_a_service_of_ours_writes_is_read(text: str) -> None:
    raw = sse.event(text.encode(), name="beat", event_id="1")
    (event,) = read(*raw.decode().split("\n")[:-1])
    assert event == ServerEvent("beat", "1", b"\n".join(text.encode().splitlines()).decode())
