"""Results as a table for a terminal: the targets first, then every figure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_TARGET = "{:<78} {:>10}  {:>19}  {:>8} {:>8}  {}"
_FIGURE = "{:<50} {:<36} {:>12} {:<10} {:>23}"
_SHORTENED = "shortened to {:g} of the published length: not to be compared with it"


def lines(results: dict[str, Any], names: list[str]) -> Iterator[str]:
    """The table of these sections, line by line."""
    sections = {name: results["sections"][name] for name in names}
    yield _TARGET.format("target", "median", "spread", "at least", "aim", "")
    for name, section in sections.items():
        for target in section["targets"]:
            yield _target(name, target)
    for name, section in sections.items():
        yield ""
        yield f"{name}: {section['title']}"
        yield f"  {_taken(section)}"
        for figure in section["figures"]:
            yield "  " + _figure(figure)
        for note in section["notes"]:
            yield f"  NOTE {note}"


def _target(section: str, target: dict[str, Any]) -> str:
    bound = "" if target["better"] == "more" else "<= "
    least, aim = (
        "-" if target[key] is None else bound + number(target[key]) for key in ("at_least", "aim")
    )
    spread = f"{number(target['least'])} to {number(target['most'])}"
    named = f"{section}: {target['name']}"
    return _TARGET.format(named, number(target["median"]), spread, least, aim, judged(target))


def judged(target: dict[str, Any]) -> str:
    """In words whether a target is reached; nothing where it has no bound."""
    if target["reached"] is False:
        return "NOT REACHED"
    if target["aim_reached"]:
        return "aim reached"
    return "reached" if target["reached"] else ""


def _figure(figure: dict[str, Any]) -> str:
    spread = f"{number(figure['least'])} to {number(figure['most'])}"
    return _FIGURE.format(
        figure["name"], figure["system"], number(figure["median"]), figure["unit"], spread
    ).rstrip()


def _taken(section: dict[str, Any]) -> str:
    said = f"{section['rounds']} rounds, {section['date']}, commit {section['commit']}"
    return said if section["scale"] >= 1 else f"{said}; {_SHORTENED.format(section['scale'])}"


def number(value: float) -> str:
    """A figure with three digits or more that count."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    decimals = 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 4
    return f"{value:.{decimals}f}"
