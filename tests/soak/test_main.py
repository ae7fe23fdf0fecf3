"""A soak of three seconds, as a person starts it."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.command import environment, run

TIMEOUT_S = 90.0


@pytest.mark.timeout(120)
async def test_a_short_soak_measures_draws_and_leaves_nothing(tmp_path: Path) -> None:
    temporary, picture = tmp_path / "tmp", tmp_path / "memory.svg"
    temporary.mkdir()
    done = await run(
        *(sys.executable, "-m", "soak", "--minutes", "0.05", "--rate", "20", "--named", "0.5"),
        *("--picture", str(picture)),
        environ=environment(tmp_path / "home", {"TMPDIR": str(temporary)}),
        timeout_s=TIMEOUT_S,
    )
    said = done.out
    assert done.status == 0, said + done.err
    for figure in (
        "entries in the streams",
        "memory Redis uses",
        "resident: scan",
        "resident: redis",
    ):
        assert figure in said
    assert ": 60 accepted, 0 failed" in said
    assert "Too short to judge" in said
    ElementTree.fromstring(picture.read_text())
    assert list(temporary.iterdir()) == []
