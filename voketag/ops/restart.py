"""`voketag restart`: new processes in the place of the old ones, without a request that fails."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from voketag.ops import instance
from voketag.ops.steps import Steps
from voketag.stack import restarts
from voketag.stack.home import StackError


async def restart(environ: Mapping[str, str], names: Sequence[str]) -> None:
    """Restart the processes of the VokeTag that runs on the data directory, these or all of them.

    Raises StackError, or NoInstance, which say why not all were restarted.
    """
    found = instance.find(environ)
    if not found.running:
        raise instance.NoInstance(
            f"No VokeTag runs on {found.home}: start one with `voketag run`, or set VOKETAG_HOME "
            "to the directory of one that runs."
        )
    steps = Steps()
    async with contextlib.aclosing(restarts.ask(found.home, names)) as answers:
        programs = _checked(await anext(answers))["names"]
        for name in programs:
            with steps.step(name):
                _checked(await anext(answers))
    steps.total(f"{len(programs)} restarted")


def _checked(answer: dict[str, Any]) -> dict[str, Any]:
    if "error" in answer:
        raise StackError(str(answer["error"]))
    return answer
