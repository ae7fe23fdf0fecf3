"""What an audit comes to: a table, and what is as it should be or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Row:
    """One line of the table. `twice` counts what is stored or counted more than once, `dead` what
    lies in the dead letters, `lost` what was accepted and is nowhere, `strange` what is stored
    and was never attempted.
    """

    what: str
    attempted: int = 0
    accepted: int = 0
    stored: int = 0
    twice: int = 0
    dead: int = 0
    lost: int = 0
    strange: int = 0


@dataclass
class Audit:
    """The table, and a sentence for everything that is not as it should be."""

    rows: list[Row] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    repeats: int = 0
    facts: list[str] = field(default_factory=list)

    def conclude(self, fact: str, wrong: Sequence[str]) -> None:
        """State a fact, or else everything that speaks against it."""
        if wrong:
            self.findings += wrong
        else:
            self.facts.append(fact)
