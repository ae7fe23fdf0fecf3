"""The OpenAPI document of each HTTP process, held against the process by schemathesis."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from producers import scan
from tests.administration import admin_on
from tests.erp import anchor, serving
from tests.factory_floor import settings_for, store_product
from voketag import process
from voketag.http.server import listening

CONFIG = Path(__file__).parents[1] / "schemathesis.toml"
EXAMPLES = 15
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


@pytest.mark.timeout(300)
async def test_factory(redis_url: str, database_url: str, tmp_path: Path) -> None:
    async with serving(redis_url, database_url) as service:
        erp = await service.erp()
        await anchor(service.wires, await erp.create_stored(product_count=3))
        # A feed never ends.
        await schemathesis(service.port, tmp_path, key_of(erp.key), "--exclude-path=/v1/events")


@pytest.mark.timeout(300)
async def test_ops(redis_url: str, database_url: str, tmp_path: Path) -> None:
    async with admin_on(redis_url, database_url) as admin:
        await admin.factory()
        key = admin.wires.settings.admin_key
        await schemathesis(admin.port, tmp_path, key_of(key), "--exclude-path=/v1/live")


def key_of(key: str) -> str:
    return f"--header=Authorization: Bearer {key}"
