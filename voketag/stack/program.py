"""A program to be kept running, as data: the embedded servers and the Procfile's lines alike."""

from __future__ import annotations

import asyncio
import ctypes
import os
import shlex
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from voketag.http.listeners import FIRST_DESCRIPTOR
from voketag.stack.home import StackError

PR_SET_PDEATHSIG = 1
EXCHANGE_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Program:
    """How one process is started, known to be ready, and stopped.

    `prepare` runs before every start, also before one that follows a crash. `ready` is one
    attempt. `tells_ready` says that the process tells by itself when it is, as sd_notify(3) says.
    `listen` is the address of a listening socket that each life of it is handed, as
    sd_listen_fds(3) says; with `shares_port` others listen there as well, each on a socket of its
    own. `beside` runs for as long as the process does. `orphaned` is the signal
    that the kernel sends it when its supervisor is gone.
    """

    name: str
    argv: tuple[str, ...]
    environ: Mapping[str, str] | None = None
    log: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_grace_s: float = 10.0
    orphaned: signal.Signals = signal.SIGTERM
    prepare: Callable[[], Awaitable[None]] | None = None
    ready: Callable[[], Awaitable[bool]] | None = None
    ready_timeout_s: float = 30.0
    tells_ready: bool = False
    listen: tuple[str, int] | None = None
    shares_port: bool = False
    beside: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True)
class Server:
    """A program that others reach by a URL, which they read from the environment variable."""

    program: Program
    variable: str
    url: str


def server_environ(home: Path) -> dict[str, str]:
    """What an embedded server sees: none of our secrets and none of the caller's settings."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LC_ALL": "C",
        "TZ": "UTC",
    }


def read_procfile(path: Path) -> list[Program]:
    """The programs of a Procfile, in its order; `python` is the interpreter that runs us."""
    programs = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, colon, command = line.partition(":")
        argv = shlex.split(command)
        if not colon or not name.strip() or not argv:
            raise StackError(f"{path}, line {number}: a line is `name: command`.")
        if argv[0] in ("python", "python3"):
            argv[0] = sys.executable
        programs.append(Program(name.strip(), tuple(argv)))
    return programs


async def spawn(
    program: Program, environ: Mapping[str, str], listener: socket.socket | None = None
) -> asyncio.subprocess.Process:
    """Start the program, its output into its log or, without one, into a pipe. It inherits
    `listener` and no other descriptor of ours.
    """
    output = asyncio.subprocess.PIPE if program.log is None else _open_log(program.log)
    environ = dict(program.environ if program.environ is not None else environ)
    # The child puts the listener in the place of what has that number here, which therefore must
    # be something: the lowest free number is taken, and kept until the child has been made.
    lowest = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return await asyncio.create_subprocess_exec(
            *program.argv,
            env=environ if listener is None else {**environ, "LISTEN_FDS": "1"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            # A terminal's Ctrl-C reaches a whole process group: it is for the supervisor alone,
            # which then stops the rest in order.
            start_new_session=True,
            pass_fds=() if listener is None else (FIRST_DESCRIPTOR,),
            preexec_fn=_in_child(program.orphaned, listener),
        )
    except OSError as error:
        raise StackError(f"{program.argv[0]}: {error.strerror}") from error
    finally:
        os.close(lowest)
        if output != asyncio.subprocess.PIPE:
            os.close(output)


async def exchange(port: int, request: bytes) -> bytes:
    """Send a request to a loopback port and read until it closes; empty where nothing answers."""
    try:
        async with asyncio.timeout(EXCHANGE_TIMEOUT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(request)
                return await reader.read()
            finally:
                writer.close()
                await writer.wait_closed()
    except (OSError, TimeoutError):
        return b""


def _open_log(path: Path) -> int:
    """Append to the log, which starts anew when it has grown large."""
    if path.exists() and path.stat().st_size > 10 * 2**20:
        path.replace(path.with_suffix(".log.1"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _in_child(orphaned: signal.Signals, listener: socket.socket | None) -> Callable[[], None]:
    """What a child runs before its program: it takes the listener and, on Linux, sees to it that
    it does not outlive us.
    """
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
    parent = os.getpid()
    descriptor = None if listener is None else listener.fileno()

    def prepare() -> None:
        if descriptor is not None:
            os.dup2(descriptor, FIRST_DESCRIPTOR)
        if prctl is not None:
            prctl(PR_SET_PDEATHSIG, int(orphaned), 0, 0, 0)
            # The parent may have died before the kernel was told.
            if os.getppid() != parent:
                os._exit(1)

    return prepare
