"""The auditor as it is started: a sound system passes, one with a bug planted in it does not."""

from __future__ import annotations

import asyncio
import sys

import pytest

TIMEOUT_S = 200.0


async def chaos(*arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chaos", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode()


@pytest.mark.timeout(240)
async def test_a_sound_system_loses_nothing() -> None:
    status, out = await chaos("--kills", "4", "--seed", "1", "--rate", "50")
    assert status == 0, out
    assert "lost 0, duplicates 0: everything accepted is there, once" in out
    assert "4 kill -9 and " in out
    assert "seed 1" in out


@pytest.mark.timeout(240)
async def test_acknowledging_before_storing_is_found() -> None:
    status, out = await chaos(
        *("--kills", "4", "--seed", "7", "--rate", "50"),
        *("--only", "persist", "--plant", "ack-before-commit"),
    )
    assert status == 1, out
    (lost,) = [line for line in out.splitlines() if line.startswith("  scans: ")]
    assert lost.endswith(" lost")
    assert "again: make chaos SEED=7 KILLS=4" in out
