"""One life of a program: a process from its preparation to its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from voketag.readiness import READY
from voketag.stack import leftovers
from voketag.stack.program import Program, spawn

READY_POLL_S = 0.01
LAST_WORDS_S = 1.0
MESSAGE_MAX_BYTES = 4096

Ready = Callable[[], Awaitable[bool]] | None


@dataclass(frozen=True)
class Surroundings:
    """What a program finds around it, the same in each of its lives.

    `report` tells the person who started us; `show` is given each line that the program prints.
    """

    home: Path
    environ: Mapping[str, str]
    report: Callable[[str], None]
    show: Callable[[bytes], None]
    listener: socket.socket | None = None


class Life:
    """A process under way. `up` is set while it is ready; `was_ready` says whether it ever was.

    One that is not ready within `ready_timeout_s` is ended; with None it may take its time.
    `task` is done when the process has ended, and gives how.
    """

    def __init__(
        self,
        program: Program,
        around: Surroundings,
        recorded_as: str,
        ready_timeout_s: float | None,
    ) -> None:
        self.process: asyncio.subprocess.Process | None = None
        self.up = asyncio.Event()
        self.was_ready = False
        self.began_at = asyncio.get_running_loop().time()
        self._program = program
        self._around = around
        self._recorded_as = recorded_as
        self._ready_timeout_s = ready_timeout_s
        self._stopping = False
        self._trouble = ""
        self.task = asyncio.create_task(self._live(), name=recorded_as)

    @property
    def killed(self) -> bool:
        """Whether a signal ended it, and not itself."""
        return self.process is not None and (self.process.returncode or 0) < 0

    async def became_ready(self) -> str:
        """Wait until it is ready. Empty then; else how it ended before."""
        waiting = asyncio.create_task(self.up.wait())
        try:
            await asyncio.wait({self.task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        return "" if self.was_ready else self.task.result()

    async def kill(self) -> None:
        """End it with SIGKILL, as a crash would, and wait until it is gone."""
        if self.process is not None and self.process.returncode is None:
            self.up.clear()
            _send(self.process, signal.SIGKILL)
            await self.process.wait()

    async def end(self) -> None:
        """Ask it to stop; after its grace, make it."""
        self._stopping = True
        if self.process is not None and self.process.returncode is None:
            _send(self.process, self._program.stop_signal)
        grace_s = self._program.stop_grace_s
        done, _ = await asyncio.wait([self.task], timeout=grace_s)
        if not done and self.process is not None and self.process.returncode is None:
            self._around.report(f"{self._program.name} did not stop in {grace_s:g} s: killed")
            with contextlib.suppress(ProcessLookupError):
                # It leads its own session, so this reaches what it started as well.
                os.killpg(self.process.pid, signal.SIGKILL)
        await asyncio.wait([self.task])

    def record_as(self, name: str) -> None:
        """Be known by this name from now on, in the place of whoever had it."""
        leftovers.rename(self._around.home, self._recorded_as, name)
        self._recorded_as = name

    async def _live(self) -> str:
        """From its preparation to its end. How it ended."""
        try:
            if self._program.prepare is not None:
                await self._program.prepare()
            if self._stopping:
                return "stopped"
            if not self._program.tells_ready:
                return await self._run({}, self._program.ready)
            with _notify_socket() as (hearing, path):
                return await self._run({"NOTIFY_SOCKET": path}, lambda: _hear_ready(hearing))
        except Exception as error:  # whatever it is, supervision goes on
            return str(error) or type(error).__name__

    async def _run(self, added: Mapping[str, str], ready: Ready) -> str:
        program, around = self._program, self._around
        process = await spawn(program, {**around.environ, **added}, around.listener)
        self.process = process
        try:
            leftovers.record(around.home, self._recorded_as, process.pid, program.stop_signal)
            # end() may have come while it was being started, when it had nothing to signal.
            if self._stopping:
                _send(process, program.stop_signal)
            return await self._attend(process, ready)
        finally:
            if process.returncode is None:
                _send(process, signal.SIGKILL)
                await process.wait()
            leftovers.forget(around.home, self._recorded_as)

    async def _attend(self, process: asyncio.subprocess.Process, ready: Ready) -> str:
        """Be with it to its end: readiness, output, what runs beside it. How it ended."""
        beside = [asyncio.create_task(self._watch(process, ready))]
        if self._program.beside is not None:
            beside.append(asyncio.ensure_future(self._program.beside()))
        output = asyncio.create_task(self._pass_on(process))
        try:
            status = await process.wait()
            # What it printed last is still on its way; what it started may keep the pipe open.
            await asyncio.wait([output], timeout=LAST_WORDS_S)
        finally:
            self.up.clear()
            for task in (*beside, output):
                task.cancel()
            await asyncio.gather(*beside, output, return_exceptions=True)
        return self._trouble or _how_it_ended(status)

    async def _watch(self, process: asyncio.subprocess.Process, ready: Ready) -> None:
        """Wait until it is ready; one that never is, is ended."""
        try:
            async with asyncio.timeout(self._ready_timeout_s):
                while ready is not None and not await ready():  # noqa: ASYNC110
                    await asyncio.sleep(READY_POLL_S)
        except TimeoutError:
            self._trouble = f"not ready in {self._ready_timeout_s:g} s"
        except Exception as error:
            self._trouble = str(error) or type(error).__name__
        if self._trouble:
            _send(process, signal.SIGKILL)
            return
        self.was_ready = True
        self.up.set()

    async def _pass_on(self, process: asyncio.subprocess.Process) -> None:
        """Show what it prints, line by line, until it closes its output."""
        if process.stdout is None:
            return
        rest = b""
        while chunk := await process.stdout.read(65_536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._around.show(line)
        if rest:
            self._around.show(rest)


@contextlib.contextmanager
def _notify_socket() -> Iterator[tuple[socket.socket, str]]:
    """A datagram socket for sd_notify(3), and its path: short, whatever the data directory's is,
    for a socket's path has about a hundred characters at most.
    """
    with (
        tempfile.TemporaryDirectory(prefix="voketag-") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hearing,
    ):
        path = f"{folder}/notify"
        hearing.bind(path)
        hearing.setblocking(False)
        yield hearing, path


async def _hear_ready(hearing: socket.socket) -> bool:
    """Wait for the next message. Whether it says that the process is ready."""
    message = await asyncio.get_running_loop().sock_recv(hearing, MESSAGE_MAX_BYTES)
    return READY in message.splitlines()


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    # It may have ended in this very moment.
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


def _how_it_ended(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
