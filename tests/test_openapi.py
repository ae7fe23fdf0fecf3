"""The OpenAPI document of each HTTP process, held against the process by schemathesis."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from producers import scan
from tests.factory_floor import settings_for, store_product
from voketag import process
from voketag.web import listening

CONFIG = Path(__file__).parents[1] / "schemathesis.toml"
EXAMPLES = 40
TIMEOUT_S = 240


async def schemathesis(port: int, folder: Path, *arguments: str) -> None:
    """Run every check of schemathesis against a process; fails with its report."""
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        f"--config-file={CONFIG}",
        "run",
        f"http://127.0.0.1:{port}/openapi.json",
        "--checks=all",
        f"--max-examples={EXAMPLES}",
        "--seed=1",
        "--no-color",
        "--request-timeout=20",
        *arguments,
    ]
    running = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            output, _ = await running.communicate()
    except TimeoutError:
        running.kill()
        raise
    assert running.returncode == 0, output.decode()


@contextlib.asynccontextmanager
async def scan_process(redis_url: str, database_url: str) -> AsyncIterator[int]:
    settings = settings_for(redis_url, database_url)
    async with (
        process.open_wires(settings, database=True) as wires,
        scan.opened(wires) as app,
        listening(app, settings, 0) as port,
    ):
        await store_product(wires)
        yield port


@pytest.mark.timeout(300)
async def test_scan(redis_url: str, database_url: str, tmp_path: Path) -> None:
    async with scan_process(redis_url, database_url) as port:
        await schemathesis(port, tmp_path)
