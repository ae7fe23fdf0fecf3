"""`voketag demo`: it does the main job, or is stopped, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import psutil
import pytest

from tests.command import COMMAND, environment, voketag
from tests.system import START_TIMEOUT_S, STOP_TIMEOUT_S, lives
from voketag.client import waiting


@pytest.mark.timeout(120)
async def test_the_demo_does_the_main_job_and_leaves_nothing(tmp_path: Path) -> None:
    # Settings of the caller's must not lead it to a server that is in use.
    theirs = {"TMPDIR": str(tmp_path), "VOKETAG_REDIS_URL": "redis://127.0.0.1:1"}
    found = await voketag("demo", environ=environment(tmp_path / "home", theirs))
    assert found.status == 0, found.out + found.err
    lines = found.out.splitlines()
    assert {line[0] for line in lines} == {"✓", "="}
    for said in ("processing", "not_recognised", "counted 1x", "high_risk", "completed", "offline"):
        assert said in found.out
    assert _found(tmp_path, "*") == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_demo_that_is_stopped_leaves_nothing(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, "demo"),
        env=environment(tmp_path / "home", {"TMPDIR": str(tmp_path)}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:

        async def half_started() -> bool | None:
            return True if _found(tmp_path, "*/pids/scan") else None

        await waiting.until("its processes start", half_started, START_TIMEOUT_S)
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(True)]
        process.send_signal(number)
        out, err = await asyncio.wait_for(process.communicate(), STOP_TIMEOUT_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 1
    assert "stopped before it was done" in out.decode()
    assert err == b""
    assert not any(map(lives, family))
    assert _found(tmp_path, "*") == []


def _found(folder: Path, pattern: str) -> list[Path]:
    return list(folder.glob(pattern))
