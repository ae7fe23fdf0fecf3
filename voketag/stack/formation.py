"""Which programs of a Procfile run, in how many copies, and where they listen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from voketag.stack.home import StackError
from voketag.stack.program import Program

READY_TIMEOUT_S = 60.0
Address = tuple[str, int]


@dataclass(frozen=True)
class Formation:
    """The addresses of programs that listen, and the number of copies where it is not one, both by
    the program's name.
    """

    addresses: Mapping[str, Address] = field(default_factory=dict)
    copies: Mapping[str, int] = field(default_factory=dict)

    def programs(self, procfile: Iterable[Program]) -> list[Program]:
        """Every copy of every program: scan, scan.2, scan.3 and so on. Raises StackError for copies
        of what is not there.
        """
        lines = {program.name: program for program in procfile}
        if strangers := sorted(set(self.copies) - set(lines)):
            raise StackError(
                f"The Procfile has no program {', '.join(strangers)}; it has {', '.join(lines)}."
            )
        return [
            self._copy(program, number)
            for program in lines.values()
            for number in range(1, self.copies.get(program.name, 1) + 1)
        ]

    def _copy(self, program: Program, number: int) -> Program:
        return replace(
            program,
            name=program.name if number == 1 else f"{program.name}.{number}",
            tells_ready=True,
            ready_timeout_s=READY_TIMEOUT_S,
            listen=self.addresses.get(program.name),
            shares_port=self.copies.get(program.name, 1) > 1,
        )


def chosen(names: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Those of the copies that are wanted, by their own name or by that of their program; all where
    none is named.
    """
    asked = set(wanted)
    return [name for name in names if not asked or {name, name.partition(".")[0]} & asked]
