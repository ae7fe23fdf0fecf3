"""Text of one line that a person reads: no control characters, no line separators."""

from __future__ import annotations

import re

# For schemas. `$` alone would let a line feed through at the end.
PRINTABLE_PATTERN = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*(?!\n)$"
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def is_printable(text: str) -> bool:
    """Whether a text is what PRINTABLE_PATTERN describes, at any length."""
    return _UNPRINTABLE.search(text) is None


def visible(text: str) -> str:
    """A text for a terminal: what would steer it is written as Python would write it."""
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )
