"""Printable text: the check and the pattern in the schemas say the same."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voketag.printable import PRINTABLE_PATTERN, is_printable, visible


@pytest.mark.parametrize("letter", ["\x00", "\x1f", "\n", "\x7f", "\x85", "\u2028"])
def test_control_characters_are_not_printable(letter: str) -> None:
    for text in (letter, f"a{letter}", f"{letter}a"):
        assert not is_printable(text)
        assert re.search(PRINTABLE_PATTERN, text) is None


@given(st.text(max_size=20))
def test_the_pattern_says_what_is_checked(text: str) -> None:
    assert is_printable(text) == (re.search(PRINTABLE_PATTERN, text) is not None)


@given(st.text(max_size=20))
def test_nothing_visible_steers_a_terminal(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    assert shown == text or not text.isprintable()


def test_what_would_steer_a_terminal_is_written_out() -> None:
    assert visible("a\x1b[2Jb\x9b") == r"a\x1b[2Jb\x9b"
