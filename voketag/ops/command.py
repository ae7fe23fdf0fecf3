"""How every command of the command line ends: its status, and its one sentence where it fails."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

import click

from voketag.errors import SettingsError, VokeTagError
from voketag.tasks import end

FAILED = 1
UNUSABLE_SETTINGS = 2  # as click gives for a command line that it does not understand
INTERRUPTED = 130
Result = TypeVar("Result")


def carry_out(work: Coroutine[Any, Any, Result]) -> Result:
    """Run what a command does; a failure that we foresaw is said in its own words."""
    try:
        return asyncio.run(_until_interrupted(work))
    except SettingsError as error:
        fail(str(error), UNUSABLE_SETTINGS)
    except VokeTagError as error:
        fail(str(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


async def _until_interrupted(work: Coroutine[Any, Any, Result]) -> Result:
    """`work`, ended by SIGINT."""
    running = asyncio.create_task(work)
    interrupted = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted.set)
    waiting = asyncio.create_task(interrupted.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not interrupted.is_set():
        return running.result()
    await end(running)
    raise KeyboardInterrupt


def ask(question: str) -> bool:
    """Ask a person, who says yes or does not; on standard error, so that it can be seen. Where
    nobody is there (the end of standard input) it is no.

    The event loop keeps SIGINT to itself, and does not run while we wait: for so long the signal is
    Python's own again, and Ctrl-C raises KeyboardInterrupt.
    """
    click.echo(f"{question} [y/N]: ", err=True, nl=False)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        answer = sys.stdin.readline()
    finally:
        signal.signal(signal.SIGINT, before)
    if not answer.endswith("\n"):
        click.echo(err=True)
    return answer.strip().lower() in ("y", "yes")


def fail(message: str, status: int = FAILED) -> NoReturn:
    """Say what is wrong on standard error, and exit."""
    click.echo(f"voketag: {message}", err=True)
    sys.exit(status)


def checked_formation(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """What --formation says, if it can be meant."""
    from voketag.settings import read_formation

    try:
        read_formation(value or "")
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return value
