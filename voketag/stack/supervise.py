"""Keeps programs running: starts, watches, restarts and stops them, one piece of code for all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from voketag.stack import leftovers
from voketag.stack.home import StackError
from voketag.stack.program import Program, spawn

BACKOFF_MIN_S = 0.1
BACKOFF_MAX_S = 5.0
# One that ran this long is taken to have been well: its next death is a new story.
STEADY_S = 10.0
READY_POLL_S = 0.01
LAST_WORDS_S = 1.0
COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95)


def report_line(line: str) -> None:
    """Tell the person who started us."""
    print(line, file=sys.stderr, flush=True)


def show_line(line: str) -> None:
    """Pass on what a program printed."""
    print(line, flush=True)


class Supervisor:
    """Programs by name. A program that ends without having been stopped is started again."""

    def __init__(
        self,
        home: Path,
        environ: Mapping[str, str],
        report: Callable[[str], None] = report_line,
        show: Callable[[str], None] = show_line,
    ) -> None:
        self.home = home
        self.environ = {**environ, "PYTHONUNBUFFERED": "1"}
        self.report = report
        self.show = show
        self._keepers: dict[str, _Keeper] = {}

    async def start(self, program: Program) -> None:
        """Start a program and wait until it is ready; StackError says why it did not start."""
        if program.name in self._keepers:
            raise StackError(f"{program.name} is running already.")
        keeper = _Keeper(program, self, len(self._keepers))
        self._keepers[program.name] = keeper
        try:
            await keeper.started
        except BaseException:
            await self.stop(program.name)
            raise

    async def stop(self, *names: str) -> None:
        """Stop these programs, or all of them, at the same time."""
        keepers = [self._keepers.pop(name) for name in names or tuple(self._keepers)]
        await asyncio.gather(*(keeper.stop() for keeper in keepers))

    def has(self, name: str) -> bool:
        """Whether this program was started and not stopped since."""
        return name in self._keepers

    def pid(self, name: str) -> int | None:
        """The process id, None while it is not running."""
        process = self._keepers[name].process
        return None if process is None or process.returncode is not None else process.pid

    async def kill(self, name: str) -> None:
        """End a program with SIGKILL, as a crash would, and wait until it is gone."""
        keeper = self._keepers[name]
        if (process := keeper.process) is not None and process.returncode is None:
            keeper.up.clear()
            _send(process, signal.SIGKILL)
            await process.wait()

    async def ready(self, name: str, timeout_s: float = 30.0) -> None:
        """Wait until a program is (again) ready. Raises TimeoutError."""
        await asyncio.wait_for(self._keepers[name].up.wait(), timeout_s)


class _Keeper:
    """One program: its process of the moment and the task that keeps it running."""

    def __init__(self, program: Program, supervisor: Supervisor, number: int) -> None:
        self.program = program
        self.supervisor = supervisor
        self.process: asyncio.subprocess.Process | None = None
        self.up = asyncio.Event()
        self.stopping = asyncio.Event()
        self.trouble = ""
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.prefix = f"{program.name:<9}| "
        if sys.stdout.isatty():
            self.prefix = f"\x1b[{COLOURS[number % len(COLOURS)]}m{self.prefix}\x1b[0m"
        self.task = asyncio.create_task(self._keep(), name=f"keep {program.name}")

    async def stop(self) -> None:
        """Ask it to stop; after its grace, make it."""
        self.stopping.set()
        if self.process is not None and self.process.returncode is None:
            _send(self.process, self.program.stop_signal)
        grace_s = self.program.stop_grace_s
        done, _ = await asyncio.wait([self.task], timeout=grace_s)
        if not done and self.process is not None and self.process.returncode is None:
            self.supervisor.report(f"{self.program.name} did not stop in {grace_s:g} s: killed")
            with contextlib.suppress(ProcessLookupError):
                # It leads its own session, so this reaches what it started as well.
                os.killpg(self.process.pid, signal.SIGKILL)
        await self.task

    async def _keep(self) -> None:
        delay_s = BACKOFF_MIN_S
        clock = asyncio.get_running_loop().time
        while not self.stopping.is_set():
            started_at = clock()
            try:
                reason = await self._live()
            except Exception as error:  # whatever it is, supervision goes on
                reason = str(error) or type(error).__name__
            if self.stopping.is_set():
                break
            if not self.started.done():
                self._fail(reason)
                return
            if clock() - started_at > STEADY_S:
                delay_s = BACKOFF_MIN_S
            name = self.program.name
            self.supervisor.report(f"{name} died ({reason}), started again in {delay_s:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), delay_s)
            delay_s = min(2 * delay_s, BACKOFF_MAX_S)
        if not self.started.done():
            self.started.set_exception(StackError(f"{self.program.name} was stopped."))

    def _fail(self, reason: str) -> None:
        """The first start failed: the caller is told, and nothing is tried again."""
        message = f"{self.program.name} did not start ({reason})."
        if self.program.log is not None:
            message += f" The end of {self.program.log}:\n{_tail(self.program.log)}"
        self.started.set_exception(StackError(message))

    async def _live(self) -> str:
        """One life of the process, from its preparation to its end. How it ended."""
        program, home = self.program, self.supervisor.home
        if program.prepare is not None:
            await program.prepare()
        if self.stopping.is_set():
            return "stopped"
        process = self.process = await spawn(program, self.supervisor.environ)
        try:
            leftovers.record(home, program.name, process.pid, program.stop_signal)
            # stop() may have come while it was being started, when it had nothing to signal.
            if self.stopping.is_set():
                _send(process, program.stop_signal)
            return await self._attend(process)
        finally:
            if process.returncode is None:
                _send(process, signal.SIGKILL)
                await process.wait()
            leftovers.forget(home, program.name)

    async def _attend(self, process: asyncio.subprocess.Process) -> str:
        """Be with it to its end: readiness, output, what runs beside it. How it ended."""
        beside = [asyncio.create_task(self._watch(process))]
        if self.program.beside is not None:
            beside.append(asyncio.ensure_future(self.program.beside()))
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
        return self.trouble or _how_it_ended(status)

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Wait until it is ready; one that never is, is ended."""
        program = self.program
        self.trouble = ""
        try:
            async with asyncio.timeout(program.ready_timeout_s):
                while program.ready is not None and not await program.ready():  # noqa: ASYNC110
                    await asyncio.sleep(READY_POLL_S)
        except TimeoutError:
            self.trouble = f"not ready in {program.ready_timeout_s:g} s"
        except Exception as error:
            self.trouble = str(error) or type(error).__name__
        if self.trouble:
            _send(process, signal.SIGKILL)
            return
        self.up.set()
        if not self.started.done():
            self.started.set_result(None)

    async def _pass_on(self, process: asyncio.subprocess.Process) -> None:
        """Show what it prints, line by line, until it closes its output."""
        if process.stdout is None:
            return
        rest = b""
        while chunk := await process.stdout.read(65_536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._show(line)
        if rest:
            self._show(rest)

    def _show(self, line: bytes) -> None:
        # Whoever read our output may be gone; the programs go on.
        with contextlib.suppress(OSError):
            self.supervisor.show(self.prefix + line.decode(errors="replace"))


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    # It may have ended in this very moment.
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


def _how_it_ended(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"


def _tail(log: Path, lines: int = 20) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError as error:
        return str(error)
