"""Debian's Prometheus: its checker of rules and metrics, and the server itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.servers import eventually
from voketag.stack.home import choose_port, make_home

START_TIMEOUT_S = 30.0


def binary(name: str) -> str:
    """A program of the package. Where there is none, CI fails and anyone else's test is skipped."""
    found = shutil.which(name)
    if found is None and "CI" in os.environ:
        pytest.fail(f"{name} is not installed: apt-get install prometheus")
    if found is None:
        pytest.skip(f"NO {name.upper()}: deploy/ was not tested. apt-get install prometheus")
    return found


def promtool(*arguments: str, stdin: bytes = b"") -> str:
    """What promtool says; the test fails where it finds something wrong."""
    done = subprocess.run(
        [binary("promtool"), *arguments],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    said = done.stdout.decode()
    assert done.returncode == 0, said
    return said


class Prometheus:
    """A server, and its API."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ask(self, path: str, **query: str) -> Any:
        async with self._session.get(f"/api/v1/{path}", params=query) as response:
            answer = await response.json()
            assert answer["status"] == "success", answer
            return answer["data"]

    async def is_ready(self) -> bool:
        with contextlib.suppress(aiohttp.ClientError):
            async with self._session.get("/-/ready") as response:
                return response.status == 200
        return False


@contextlib.asynccontextmanager
async def prometheus(config: Path, home: Path) -> AsyncIterator[Prometheus]:
    """A server with this configuration, for as long as the context lasts."""
    program = binary("prometheus")
    port = choose_port(make_home(home), "prometheus")
    process = await asyncio.create_subprocess_exec(
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={home / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            server = Prometheus(session)
            await eventually(server.is_ready, START_TIMEOUT_S)
            yield server
    finally:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 20)
        except TimeoutError:
            process.kill()
            await process.wait()
