"""A soak of three seconds, as a person starts it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.command import environment
from tests.source import REPOSITORY

TIMEOUT_S = 90.0


@pytest.mark.timeout(120)
async def test_a_short_soak_measures_draws_and_leaves_nothing(tmp_path: Path) -> None:
    temporary, picture = tmp_path / "tmp", tmp_path / "memory.svg"
    temporary.mkdir()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "soak", "--minutes", "0.05", "--rate", "20", "--named", "0.5"),
        *("--picture", str(picture)),
        cwd=REPOSITORY,
        env=environment(tmp_path / "home", {"TMPDIR": str(temporary)}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said = out.decode()
    assert process.returncode == 0, said + err.decode()
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
