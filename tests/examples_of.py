"""The code blocks of a page, as a reader copies them."""

from __future__ import annotations

import re

from tests.source import REPOSITORY

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    """Those of one language in a page of docs/, in their order."""
    text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
    found = [code for kind, code in _BLOCK.findall(text) if kind == language]
    assert found, f"docs/{page} has no {language}"
    return found
