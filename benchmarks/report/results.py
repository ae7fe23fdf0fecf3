"""results/bench.json: every section as it was last measured, each with its own date and commit."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.section import Figure, Found, Section, Target

FORMAT = 1
# Rounded where nothing is lost that a round of the same figure would repeat.
_DIGITS = 6
Results = dict[str, Any]


def of_section(
    section: Section, found: Found, rounds: int, scale: float, taken: dict[str, Any]
) -> Results:
    """A section's results as they are kept; `taken` says when, of which commit and on what."""
    return {
        "title": section.title,
        "rounds": rounds,
        "scale": scale,
        **taken,
        "targets": [_target(target) for target in found.targets],
        "figures": [_figure(figure) for figure in found.figures],
        "notes": list(found.notes),
    }


def read(path: Path) -> Results:
    """The results of earlier runs; none where there is no such file, or one of another format."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        found = {}
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        return {"format": FORMAT, "sections": {}}
    return found


def merge(path: Path, name: str, section: Results) -> Results:
    """Put a section in the place of what was known of it, and leave the others as they are."""
    results = read(path)
    sections = results["sections"] | {name: section}
    results["sections"] = dict(sorted(sections.items()))
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    unfinished.replace(path)
    return results


def _figure(figure: Figure) -> Results:
    return {
        "name": figure.name,
        "system": figure.system,
        "unit": figure.unit,
        **_spread(figure.values),
    }


def _target(target: Target) -> Results:
    return {
        "name": target.name,
        "of": target.of.system,
        "to": target.to.system if target.to else None,
        "unit": target.of.unit if target.to is None else "ratio",
        "better": target.better,
        "at_least": target.at_least,
        "aim": target.aim,
        **_spread(target.values),
        "reached": target.reaches(target.at_least),
        "aim_reached": target.reaches(target.aim),
    }


def _spread(values: Sequence[float]) -> Results:
    return {
        "median": _rounded(statistics.median(values)),
        "least": _rounded(min(values)),
        "most": _rounded(max(values)),
        "values": [_rounded(value) for value in values],
    }


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
