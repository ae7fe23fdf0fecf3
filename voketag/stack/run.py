"""The body of `voketag run`: the servers, the Procfile's programs, and their end in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from voketag.stack.program import read_procfile
from voketag.stack.stack import Binaries, Stack
from voketag.stack.supervise import Supervisor, report_line

PROCFILE = Path(__file__).parents[2] / "Procfile"

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

Environment = dict[str, str]
Hook = Callable[[Environment], Awaitable[None]]
Announce = Callable[[Environment, bool], Awaitable[None]]


async def _nothing(*_: object) -> None:
    """The hook of a caller who has nothing to do at that point."""


async def run(
    home: Path,
    environ: Mapping[str, str],
    *,
    prepare: Hook = _nothing,
    ready: Hook = _nothing,
    announce: Announce = _nothing,
    until: asyncio.Event | None = None,
    procfile: Path = PROCFILE,
    binaries: Binaries | None = None,
    report: Callable[[str], None] = report_line,
    show: Callable[[str], None] = print,
) -> None:
    """Run everything until SIGINT or SIGTERM (or until `until` is set), then stop it in order.

    `prepare` is called when the servers answer, before any program starts; `ready` returns when
    the programs answer; `announce` is told whether this was the first start. All get the
    environment that the programs get. A signal ends the start just as well, at whatever it is.
    `show` is given what the programs print, line by line.
    """
    asked_to_stop = until or asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, asked_to_stop.set)
    stack = Stack(home, environ, binaries=binaries, report=report)
    serving = asyncio.create_task(_serve(stack, procfile, prepare, ready, announce, show))
    asked = asyncio.create_task(asked_to_stop.wait())
    try:
        await asyncio.wait([serving, asked], return_when=asyncio.FIRST_COMPLETED)
    finally:
        asked.cancel()
        serving.cancel()
        await asyncio.wait([serving])
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
    if not serving.cancelled():
        serving.result()


async def _serve(
    stack: Stack,
    procfile: Path,
    prepare: Hook,
    ready: Hook,
    announce: Announce,
    show: Callable[[str], None],
) -> None:
    """Start everything in order and keep it until cancelled; then stop it in reverse."""
    async with stack:
        environment = stack.environment
        environ = {**stack.environ, **environment}
        programs = Supervisor(stack.home, environ, stack.report, show)
        try:
            await prepare(environment)
            for program in read_procfile(procfile):
                await programs.start(program)
            await ready(environment)
            await announce(environment, stack.first_start)
            await asyncio.Event().wait()
        finally:
            await programs.stop()
