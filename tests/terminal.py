"""A command in a terminal of its own: a pseudo-terminal with keys, a size and a screen."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import struct
import sys
import termios
from collections.abc import AsyncIterator, Mapping
from typing import Any

from tests.command import COMMAND
from tests.servers import eventually
from tests.source import REPOSITORY

# A process whose controlling terminal is its standard input: there Ctrl-C is a signal.
_LEADER = (
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
CTRL_C = b"\x03"


class Terminal:
    """`voketag` running in a terminal."""

    def __init__(self, master: int, slave: int) -> None:
        self._master, self._slave = master, slave
        self.output = ""
        self.process: asyncio.subprocess.Process | None = None

    @property
    def modes(self) -> list[Any]:
        """What the terminal does with keys, as termios gives it."""
        return termios.tcgetattr(self._slave)

    @property
    def screen(self) -> str:
        """What was drawn last, without colours."""
        return _STYLE.sub("", self.output.rpartition("\x1b[H")[2])

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    async def shows(self, text: str) -> None:
        await eventually(lambda: text in self.screen)

    async def ended(self) -> int:
        """The status, once the command has ended and all that it wrote is here."""
        assert self.process is not None
        async with asyncio.timeout(15):
            return await self.process.wait()

    def read(self) -> None:
        with contextlib.suppress(OSError):
            self.output += os.read(self._master, 65_536).decode()


@contextlib.asynccontextmanager
async def terminal(
    *arguments: str, environ: Mapping[str, str], size: tuple[int, int] = (120, 30)
) -> AsyncIterator[Terminal]:
    """`voketag` with these arguments, in a terminal of `size` (columns, lines)."""
    master, slave = os.openpty()
    opened = Terminal(master, slave)
    opened.resize(*size)
    loop = asyncio.get_running_loop()
    loop.add_reader(master, opened.read)
    try:
        opened.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _LEADER, *COMMAND, *arguments),
            cwd=REPOSITORY,
            env={"TERM": "xterm-256color", **environ},
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        yield opened
    finally:
        loop.remove_reader(master)
        if opened.process is not None and opened.process.returncode is None:
            opened.process.kill()
            await opened.process.wait()
        os.close(master)
        os.close(slave)
