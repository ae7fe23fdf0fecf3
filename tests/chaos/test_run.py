"""The auditor as it is started: a sound system passes, one with a bug planted in it does not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.command import Finished, environment, run

TIMEOUT_S = 200.0


async def chaos(temporary: Path, *arguments: str) -> Finished:
    return await run(
        *(sys.executable, "-m", "chaos", *arguments),
        environ=environment(temporary, {"TMPDIR": str(temporary)}),
        timeout_s=TIMEOUT_S,
    )


@pytest.mark.timeout(240)
async def test_a_sound_system_loses_nothing(tmp_path: Path) -> None:
    done = await chaos(tmp_path, "--kills", "4", "--seed", "1", "--rate", "50")
    out = done.out
    assert done.status == 0, out + done.err
    assert "lost 0, duplicates 0: everything accepted is there, once" in out
    assert "4 kill -9 and " in out
    assert "seed 1" in out


@pytest.mark.timeout(240)
async def test_acknowledging_before_storing_is_found(tmp_path: Path) -> None:
    done = await chaos(
        tmp_path,
        *("--kills", "4", "--seed", "7", "--rate", "50"),
        *("--only", "persist", "--plant", "ack-before-commit"),
    )
    out = done.out
    assert done.status == 1, out + done.err
    (lost,) = [line for line in out.splitlines() if line.startswith("  scans: ")]
    assert lost.endswith(" lost")
    assert "again: make chaos SEED=7 KILLS=4" in out
