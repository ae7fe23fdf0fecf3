"""Steps of a job, each on one line with the time it took."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TextIO

NAME_COLUMNS = 46


def spelled(seconds: float) -> str:
    """A duration for a person: milliseconds up to a second, then seconds."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


class Step:
    """A step under way: `found` is what its line will say, `waiting` what it says meanwhile."""

    def __init__(self, steps: Steps, name: str) -> None:
        self._steps = steps
        self.name = name
        self.found = ""
        self.started_s = time.monotonic()

    def waiting(self, text: str) -> None:
        """Show, on a terminal, how far it is; said too where the step fails."""
        self._steps.last_seen = text
        self._steps.progress(
            f"… {spelled(time.monotonic() - self.started_s):>8}  {self.name}  {text}"
        )


class Steps:
    """Prints the steps of one job as they are done."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self.started_s = time.monotonic()
        self.current: str | None = None
        self.last_seen = ""

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """One step. Its line is printed when it is done; an error goes on, with `current` set."""
        step = Step(self, name)
        self.current, self.last_seen = name, ""
        self.progress(f"…           {name}")
        yield step
        self.current = None
        took = spelled(time.monotonic() - step.started_s)
        self._line(f"✓ {took:>8}  {name:<{NAME_COLUMNS}} {step.found}".rstrip())

    def failed(self, reason: str) -> None:
        """Say where the job ended, and why."""
        seen = f" (last seen: {self.last_seen})" if self.last_seen else ""
        self._line(f"✗ {self.current or 'the job'}: {reason}{seen}")

    def total(self, text: str) -> None:
        """Say that the job is done, with its whole time."""
        self._line(f"= {spelled(time.monotonic() - self.started_s):>8}  {text}")

    def progress(self, text: str) -> None:
        """On a terminal, a line that the next one replaces."""
        if self._out.isatty():
            self._out.write(f"\r\x1b[K{text[:100]}")
            self._out.flush()

    def _line(self, text: str) -> None:
        clear = "\r\x1b[K" if self._out.isatty() else ""
        print(clear + text, file=self._out, flush=True)
