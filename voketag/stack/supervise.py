"""Keeps programs running: starts, watches, restarts, replaces and stops them, one piece of code
for all.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from voketag.http import listeners
from voketag.stack.home import StackError
from voketag.stack.life import READY_POLL_S, Life, Surroundings
from voketag.stack.program import Program

BACKOFF_MIN_S = 0.1
BACKOFF_MAX_S = 5.0
# One that ran this long is taken to have been well: its next death is a new story.
STEADY_S = 10.0
# One that was ready and did not end by itself (a kill, the kernel out of memory) was well too, but
# not if that happens this often within STEADY_S. A process that ends by itself has a fault, which
# it would show again: what a bad deploy buries, it is to bury slowly.
KILLS = 10
# What is said to us by whoever started us is not for our programs.
_FOR_US = ("LISTEN_FDNAMES", "LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET")
COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95)


def report_line(line: str) -> None:
    """Tell the person who started us, who may have gone."""
    with contextlib.suppress(OSError):
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
        self.environ = {name: value for name, value in environ.items() if name not in _FOR_US} | {
            "PYTHONUNBUFFERED": "1"
        }
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
            await keeper.start()
        except BaseException:
            if self._keepers.get(program.name) is keeper:
                await self.stop(program.name)
            raise

    async def replace(self, name: str) -> None:
        """Start a successor beside a program and stop the program once that one is ready.

        Raises StackError where the successor does not get ready; the program then runs on.
        """
        if (keeper := self._keepers.get(name)) is None:
            raise StackError(f"{name} is not running.")
        await keeper.replace()

    async def stop(self, *names: str) -> None:
        """Stop these programs, or all of them, at the same time."""
        keepers = [self._keepers.pop(name) for name in names or tuple(self._keepers)]
        await asyncio.gather(*(keeper.stop() for keeper in keepers))

    def has(self, name: str) -> bool:
        """Whether this program was started and not stopped since."""
        return name in self._keepers

    def pid(self, name: str) -> int | None:
        """The process id, None while it is not running."""
        process = self._keepers[name].life.process
        return None if process is None or process.returncode is not None else process.pid

    async def kill(self, name: str) -> None:
        """End a program with SIGKILL, as a crash would, and wait until it is gone."""
        await self._keepers[name].life.kill()

    async def ready(self, name: str, timeout_s: float = 30.0) -> None:
        """Wait until a program is (again) ready. Raises TimeoutError."""
        keeper = self._keepers[name]
        async with asyncio.timeout(timeout_s):
            # Polled, for it may have to die and be started again before.
            while not keeper.life.up.is_set():  # noqa: ASYNC110
                await asyncio.sleep(READY_POLL_S)


class _Keeper:
    """One program: its life of the moment and the task that gives it the next one."""

    def __init__(self, program: Program, supervisor: Supervisor, number: int) -> None:
        self.program = program
        self.supervisor = supervisor
        self.stopping = asyncio.Event()
        self.prefix = f"{program.name:<9}| "
        if sys.stdout.isatty():
            self.prefix = f"\x1b[{COLOURS[number % len(COLOURS)]}m{self.prefix}\x1b[0m"
        listener = _listener(program)
        self._around = Surroundings(
            supervisor.home, supervisor.environ, supervisor.report, self._show, listener
        )
        self._living: set[Life] = set()
        self._keeping: asyncio.Task[None] | None = None
        self.life = self._begin(program.name, program.ready_timeout_s)

    async def start(self) -> None:
        """Wait until its first life is ready. Where it fails, nothing is tried again."""
        if reason := await self.life.became_ready():
            message = f"{self.program.name} did not start ({reason})."
            if self.program.log is not None:
                message += f" The end of {self.program.log}:\n{_tail(self.program.log)}"
            raise StackError(message)
        self._keeping = asyncio.create_task(self._keep(), name=f"keep {self.program.name}")

    async def stop(self) -> None:
        """End every process of it, and give it no further life."""
        self.stopping.set()
        await asyncio.gather(*(life.end() for life in self._living))
        if self._keeping is not None:
            await self._keeping
        if self._around.listener is not None:
            self._around.listener.close()

    async def replace(self) -> None:
        """Put a successor in the place of the life of the moment."""
        name = self.program.name
        successor = self._begin(f"{name}.successor", self.program.ready_timeout_s)
        try:
            reason = await successor.became_ready()
        except asyncio.CancelledError:
            await successor.end()
            raise
        if reason:
            raise StackError(f"{name} was not replaced: its successor failed ({reason}).")
        predecessor, self.life = self.life, successor
        predecessor.record_as(f"{name}.predecessor")
        successor.record_as(name)
        await predecessor.end()

    def _begin(self, recorded_as: str, ready_timeout_s: float | None) -> Life:
        life = Life(self.program, self._around, recorded_as, ready_timeout_s)
        self._living.add(life)
        life.task.add_done_callback(lambda _: self._living.discard(life))
        return life

    async def _keep(self) -> None:
        """See to it that it lives, until it is stopped."""
        name, delay_s = self.program.name, BACKOFF_MIN_S
        kills: deque[float] = deque(maxlen=KILLS)
        # One of ours waits for servers that are away, for as long as that takes.
        ready_timeout_s = None if self.program.tells_ready else self.program.ready_timeout_s
        while not self.stopping.is_set():
            life = self.life
            await asyncio.wait([life.task])
            if self.life is not life or self.stopping.is_set():
                continue  # it was replaced, or stopped
            if _was_well(life, kills):
                delay_s = BACKOFF_MIN_S
            reason = life.task.result()
            self.supervisor.report(f"{name} died ({reason}), started again in {delay_s:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), delay_s)
            delay_s = min(2 * delay_s, BACKOFF_MAX_S)
            if self.life is life and not self.stopping.is_set():
                self.life = self._begin(name, ready_timeout_s)

    def _show(self, line: bytes) -> None:
        # Whoever read our output may be gone; the programs go on.
        with contextlib.suppress(OSError):
            self.supervisor.show(self.prefix + line.decode(errors="replace"))


def _was_well(life: Life, kills: deque[float]) -> bool:
    """Whether its death says nothing about the program; `kills` are the times of the last ones."""
    now = asyncio.get_running_loop().time()
    if now - life.began_at > STEADY_S:
        return True
    if not (life.was_ready and life.killed):
        return False
    too_often = len(kills) == KILLS and now - kills[0] < STEADY_S
    kills.append(now)
    return not too_often


def _listener(program: Program) -> socket.socket | None:
    """The socket that it is handed, if any."""
    if program.listen is None:
        return None
    host, port = program.listen
    try:
        return listeners.opened(host, port, shared=program.shares_port)
    except OSError as error:
        reason = error.strerror or error
        raise StackError(
            f"{program.name} did not start: port {port} on {host} cannot be used ({reason})."
        ) from None


def _tail(log: Path, lines: int = 20) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError as error:
        return str(error)
