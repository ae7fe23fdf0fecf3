"""Starts the load generator and waits for what it measured."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from benchmarks.load.orders import Load, Measured

_REPOSITORY = Path(__file__).parents[2]
_START_S = 30.0  # to start Python and render the requests


class LoadFailed(Exception):
    """The load generator ended without a result, or no scan was answered with 200; the text says
    which.
    """


async def drive(load: Load) -> Measured:
    """Run a load in a process of its own. Raises LoadFailed; a process left behind is killed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.load"),
        cwd=_REPOSITORY,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_START_S + load.for_s + load.answer_within_s):
            answer, said = await process.communicate(msgspec.json.encode(load))
    except TimeoutError:
        raise LoadFailed("the load generator did not end in its time") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise LoadFailed(said.decode(errors="replace").strip())
    measured = msgspec.json.decode(answer, type=Measured)
    if not measured.ok:
        raise LoadFailed(f"none of {measured.sent} scans was answered with 200: {measured}")
    return measured
