"""The command line as a person starts it: a process with arguments, standard streams, a status."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.source import REPOSITORY

TIMEOUT_S = 60.0
COMMAND = (sys.executable, "-c", "from voketag.ops.cli import main; main(prog_name='voketag')")


@dataclass(frozen=True)
class Finished:
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str


def environment(home: Path, variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without VokeTag's settings, with a data directory and these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VOKETAG_")}
    return {**kept, "VOKETAG_HOME": str(home), **(variables or {})}


async def voketag(
    *arguments: str,
    environ: Mapping[str, str],
    stdin: bytes | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Finished:
    """Run `voketag` with these arguments to its end."""
    return await run(*COMMAND, *arguments, environ=environ, stdin=stdin, timeout_s=timeout_s)


async def run(
    *command: str,
    environ: Mapping[str, str],
    stdin: bytes | None = None,
    timeout_s: float = TIMEOUT_S,
    folder: Path = REPOSITORY,
) -> Finished:
    """Run a program to its end; one that takes too long is killed, and TimeoutError raised."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=dict(environ),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(timeout_s):
            out, err = await process.communicate(stdin)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Finished(process.returncode, out.decode(), err.decode())
