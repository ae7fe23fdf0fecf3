"""The body of `voketag run`: the servers, the Procfile's programs, and their end in order."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from voketag.stack import restarts
from voketag.stack.formation import Formation
from voketag.stack.program import read_procfile
from voketag.stack.stack import Binaries, Stack
from voketag.stack.supervise import Supervisor, report_line

PROCFILE = Path(__file__).parents[2] / "Procfile"

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

Environment = dict[str, str]
Prepare = Callable[[Environment], Awaitable[Formation | None]]
Hook = Callable[[Environment], Awaitable[None]]
Announce = Callable[[Environment, bool], Awaitable[None]]


async def _nothing(*_: object) -> None:
    """The hook of a caller who has nothing to do at that point."""


async def run(
    home: Path,
    environ: Mapping[str, str],
    *,
    prepare: Prepare = _nothing,
    ready: Hook = _nothing,
    announce: Announce = _nothing,
    until: asyncio.Event | None = None,
    procfile: Path = PROCFILE,
    binaries: Binaries | None = None,
    report: Callable[[str], None] = report_line,
    show: Callable[[str], None] = print,
) -> None:
    """Run everything until SIGINT or SIGTERM (or until `until` is set), then stop it in order.

    `prepare` is called when the servers answer, before any program starts, and gives where the
    programs are to listen and in how many copies they run; `ready` returns when the programs
    answer; `announce` is told whether this was the first start. All get the environment that the
    programs get. A signal ends the start just as well, at whatever it is. SIGHUP replaces the
    programs one after the other, but stops everything where the terminal that we were started from
    has gone.
    `show` is given what the programs print, line by line.
    """
    stop, again = until or asyncio.Event(), asyncio.Event()
    _heed_signals(stop, again)
    stack = Stack(home, environ, binaries=binaries, report=report)
    serving = asyncio.create_task(_serve(stack, procfile, prepare, ready, announce, show, again))
    asked = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([serving, asked], return_when=asyncio.FIRST_COMPLETED)
    finally:
        asked.cancel()
        serving.cancel()
        await asyncio.wait([serving])
        for number in (*STOP_SIGNALS, signal.SIGHUP):
            asyncio.get_running_loop().remove_signal_handler(number)
    if not serving.cancelled():
        serving.result()


def _heed_signals(stop: asyncio.Event, again: asyncio.Event) -> None:
    """Set the event that a signal asks for."""
    terminal = next((number for number in range(3) if os.isatty(number)), None)

    def hang_up() -> None:
        (again if terminal is None or os.isatty(terminal) else stop).set()

    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, hang_up)


async def _serve(
    stack: Stack,
    procfile: Path,
    prepare: Prepare,
    ready: Hook,
    announce: Announce,
    show: Callable[[str], None],
    again: asyncio.Event,
) -> None:
    """Start everything in order and keep it until cancelled; then stop it in reverse. The programs
    are replaced whenever `again` is set.
    """
    async with stack:
        restarts.forget(stack.home)
        environment = stack.environment
        supervisor = Supervisor(stack.home, {**stack.environ, **environment}, stack.report, show)
        try:
            formation = await prepare(environment) or Formation()
            programs = formation.programs(read_procfile(procfile))
            await asyncio.gather(*(supervisor.start(program) for program in programs))
            await ready(environment)
            await announce(environment, stack.first_start)
            names = [program.name for program in programs]
            await restarts.carry_out(stack.home, supervisor, names, again, stack.report)
        finally:
            await supervisor.stop()
