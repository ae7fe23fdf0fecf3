"""Rolling restarts: program by program, a successor takes over once it is ready.

SIGHUP asks the runner for one of all programs. Who wants to name some, or to hear how it goes,
leaves a request in the data directory before: a file of names, which the runner answers in another
one, a JSON object a line: the names; each name with the seconds it took; or an error, which is the
last line.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from voketag.stack.formation import chosen
from voketag.stack.home import StackError, holder, make_private, write_private
from voketag.stack.supervise import Supervisor

FOLDER = "restarts"
ASKED, ANSWERED = ".asked", ".answered"
POLL_S = 0.05
# More than the readiness of one program and the end of another may take together.
SILENCE_MAX_S = 90.0

Tell = Callable[[dict[str, Any]], None]


# ---------------------------------------------------------------------- the runner's side


def forget(home: Path) -> None:
    """Drop what was asked of an earlier run."""
    for path in make_private(home / FOLDER).iterdir():
        path.unlink()


async def carry_out(
    home: Path,
    programs: Supervisor,
    names: Sequence[str],
    asked: asyncio.Event,
    report: Callable[[str], None],
) -> None:
    """Restart these programs, or those of them that a request names, whenever `asked` is set."""
    while True:
        await asked.wait()
        asked.clear()
        try:
            requests = sorted((home / FOLDER).glob(f"*{ASKED}"))
            if not requests:
                await _restart(programs, names, report, lambda _: None)
            for request in requests:
                await _answer(request, programs, names, report)
        except Exception as error:  # a disk that is full, say; the programs run on
            report(f"the restart was given up: {error}")


async def _answer(
    request: Path, programs: Supervisor, names: Sequence[str], report: Callable[[str], None]
) -> None:
    wanted = _taken(request)
    with _answering(request) as answer:

        def tell(told: dict[str, Any]) -> None:
            print(json.dumps(told), file=answer)

        if strangers := sorted(set(wanted) - set(names)):
            there = ", ".join(names)
            tell({"error": f"There is no program {', '.join(strangers)}; there are {there}."})
            return
        await _restart(programs, chosen(names, wanted), report, tell)


def _taken(request: Path) -> list[str]:
    wanted = json.loads(request.read_text())
    request.unlink()
    return list(wanted)


def _answering(request: Path) -> TextIO:
    return request.with_suffix(ANSWERED).open("a", buffering=1)


async def _restart(
    programs: Supervisor, names: Sequence[str], report: Callable[[str], None], tell: Tell
) -> None:
    """One after the other, up to the first that fails: a bad version does not spread."""
    clock = asyncio.get_running_loop().time
    tell({"names": list(names)})
    for name in names:
        began_at = clock()
        try:
            await programs.replace(name)
        except StackError as error:
            report(str(error))
            tell({"error": str(error)})
            return
        took_s = clock() - began_at
        report(f"{name} was replaced ({took_s:.1f} s)")
        tell({"name": name, "seconds": round(took_s, 3)})


# ---------------------------------------------------------------------- who asks


async def ask(home: Path, names: Sequence[str]) -> AsyncGenerator[dict[str, Any]]:
    """Have the runner of this data directory restart these programs, all if none is named; gives
    what it answers, line by line. Raises StackError where there is no runner, or no longer.
    """
    if (runner := holder(home)) is None:
        raise StackError(f"No VokeTag runs on {home}.")
    request = make_private(home / FOLDER) / f"{secrets.token_hex(8)}{ASKED}"
    written = request.with_suffix(".new")
    write_private(written, json.dumps(list(names)))
    written.rename(request)
    os.kill(runner, signal.SIGHUP)
    answer = request.with_suffix(ANSWERED)
    try:
        told, awaited = 0, 1
        while told < awaited:
            async with asyncio.timeout(SILENCE_MAX_S):
                while len(lines := _whole_lines(answer)) == told:
                    if holder(home) != runner:
                        raise StackError(f"The VokeTag that ran on {home} has ended.")
                    await asyncio.sleep(POLL_S)
            for line in map(json.loads, lines[told:]):
                awaited += len(line.get("names", ()))
                if "error" in line:
                    awaited = 0
                yield line
            told = len(lines)
    except TimeoutError:
        raise StackError(f"No answer in {SILENCE_MAX_S:g} s.") from None
    finally:
        request.unlink(missing_ok=True)
        answer.unlink(missing_ok=True)


def _whole_lines(path: Path) -> list[str]:
    try:
        return path.read_text().split("\n")[:-1]
    except FileNotFoundError:
        return []
