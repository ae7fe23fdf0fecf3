"""Cursors: they lead back to their item, and nothing else is one."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voketag import identifiers
from voketag.cursors import cursor_after, read_cursor
from voketag.errors import InvalidField


def test_a_cursor_leads_back_to_its_item() -> None:
    identifier = identifiers.new_id()
    assert read_cursor(cursor_after(identifier)) == identifier
    assert read_cursor(None) is None


@given(st.text(max_size=20) | st.uuids(version=4).map(cursor_after))
def test_what_was_not_given_out_is_no_cursor(cursor: str) -> None:
    with pytest.raises(InvalidField, match="next_cursor"):
        read_cursor(cursor)


def test_a_cursor_has_one_spelling() -> None:
    cursor = cursor_after(UUID(int=0x7 << 76 | 0x2 << 62))
    for other in (cursor + "==", cursor + "A", cursor[:-1] + "B", f" {cursor}"):
        with pytest.raises(InvalidField):
            read_cursor(other)
