"""A real PgBouncer in transaction mode in front of a Postgres."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from tests.servers import eventually
from voketag.stack.home import choose_port

CONFIGURATION = """
[databases]
* = host={server.hostname} port={server.port} user={server.username} password={server.password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 200
"""


def find_binary() -> str | None:
    """Debian keeps it where only root looks."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextlib.asynccontextmanager
async def pgbouncer(folder: Path, database_url: str, pool_size: int) -> AsyncIterator[str]:
    """The URL of the same database behind a PgBouncer that opens `pool_size` connections to it."""
    binary = find_binary()
    if binary is None:
        pytest.skip("pgbouncer is not installed (Debian package pgbouncer)")
    server, port = urlsplit(database_url), choose_port(folder, "pgbouncer")
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(
        CONFIGURATION.format(server=server, port=port, pool_size=pool_size), encoding="utf-8"
    )
    user = ("-u", "nobody") if os.geteuid() == 0 else ()  # it refuses to run as root
    process = await asyncio.create_subprocess_exec(
        *(binary, "-q", *user, str(configuration)), stderr=asyncio.subprocess.DEVNULL
    )
    url = urlunsplit(server._replace(netloc=f"{server.username}@127.0.0.1:{port}"))

    async def answers() -> bool:
        assert process.returncode is None, "pgbouncer ended"
        try:
            connection = await asyncpg.connect(url, statement_cache_size=0)
        except (OSError, asyncpg.PostgresError):
            return False
        await connection.close()
        return True

    try:
        await eventually(answers)
        yield url
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
