"""Printable text: the check and the pattern in the schemas say the same."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voketag.printable import PRINTABLE_PATTERN, is_printable


@pytest.mark.parametrize("letter", ["\x00", "\x1f", "\n", "\x7f", "\x85", "\u2028"])
def test_control_characters_are_not_printable(letter: str) -> None:
    for text in (letter, f"a{letter}", f"{letter}a"):
        assert not is_printable(text)
        assert re.search(PRINTABLE_PATTERN, text) is None


@given(st.text(max_size=20))
def test_the_pattern_says_what_is_checked(text: str) -> None:
    assert is_printable(text) == (re.search(PRINTABLE_PATTERN, text) is not None)
