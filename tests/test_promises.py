"""What the documents promise is shown by tests that exist."""

from __future__ import annotations

import ast
import re

import pytest

from tests.source import REPOSITORY, files

FAILURE_MODES = 44


def names_of_tests() -> set[str]:
    return {
        node.name
        for path in files("tests")
        for node in ast.walk(ast.parse(path.read_text(), str(path)))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }


@pytest.mark.parametrize("page", ["guarantees.md", "security.md"])
def test_every_test_that_is_named_exists(page: str) -> None:
    named = set(re.findall(r"`(test_\w+)`", (REPOSITORY / "docs" / page).read_text()))
    assert named
    assert named - names_of_tests() == set()


def test_every_failure_mode_has_its_tests() -> None:
    text = (REPOSITORY / "docs" / "failure-modes.md").read_text()
    modes = re.findall(r"^\| (F\d+) \|", text, re.MULTILINE)
    assert modes == [f"F{number}" for number in range(1, FAILURE_MODES + 1)]
    names = names_of_tests()
    without = [mode for mode in modes if not any(f"_{mode.lower()}_" in name for name in names)]
    assert without == []
