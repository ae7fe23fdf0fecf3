"""What the load attempted and what was accepted, on disk before anything else happens.

The audit reads the file and nothing else: what the load generator remembers proves nothing.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

Kind = Literal["scan", "anonymous", "forged", "report", "batch"]
Step = Literal["attempted", "accepted", "repeated", "changed"]


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step of one thing. `name` is what its sender calls it: a scan's id, a batch's
    Idempotency-Key; `given` is the id that the answer gave it.
    """

    kind: Kind
    step: Step
    name: str
    given: str = ""
    count: int = 0


class Ledger:
    """An append-only file of lines, each on disk when `write` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.accepted: Counter[Kind] = Counter()  # for the progress line alone
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def write(self, kind: Kind, step: Step, name: str, given: str = "", count: int = 0) -> None:
        """Append a line and wait for the disk."""
        if step == "accepted":
            self.accepted[kind] += 1
        os.write(self._file, msgspec.json.encode(Line(kind, step, name, given, count)) + b"\n")
        os.fdatasync(self._file)


def read(path: Path) -> Iterator[Line]:
    """The lines of a ledger. One that a crash cut off at the end is left out."""
    decoder = msgspec.json.Decoder(Line)
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield decoder.decode(line)
