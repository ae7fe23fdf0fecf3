"""results/bench.png: each target against its bounds, and the latencies of each system."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.report.table import judged, number

_REACHED, _AIMED, _MISSED, _FREE = "#2b7bba", "#2e8b57", "#c0392b", "#888888"
_WIDTH_IN, _ROW_IN, _LATENCIES_IN, _MARGIN_IN = 13.0, 0.34, 4.2, 1.6
# What lies outside is drawn at the edge, and its number stands beside it. Bars begin further left.
_LOW, _HIGH, _LEFT = 0.1, 10.0, 0.08
_LATENCY = re.compile(r"(p[\d.]+) at ([\d,]+) a second")
_COLOURS = ("#2b7bba", "#e08214", "#7b3294", "#2e8b57", "#888888")


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw all that is known into a PNG."""
    matplotlib.rcParams["font.size"] = 9
    targets = [
        (f"{name}: {target['name']}", target)
        for name, section in results["sections"].items()
        for target in section["targets"]
        if _bound(target)
    ]
    rates = _latencies(results)
    rows_in = _MARGIN_IN + _ROW_IN * len(targets)
    height_in = rows_in + (_LATENCIES_IN if rates else 0)
    picture = Figure(figsize=(_WIDTH_IN, height_in), layout="constrained")
    FigureCanvasAgg(picture)
    heights = [rows_in, _LATENCIES_IN] if rates else [rows_in]
    parts = picture.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)
    axes = parts[0, 0].subplots()
    _draw_targets(axes, targets)
    axes.set_title(_title(results), loc="left")
    if rates:
        _draw_latencies(parts[1, 0], rates)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.savefig(path, dpi=120)


def _title(results: dict[str, Any]) -> str:
    sections = results["sections"].items()
    shortened = ", ".join(name for name, section in sections if section["scale"] < 1)
    title = "Targets: median and spread of the rounds"
    return f"{title}\nshortened, not to be compared: {shortened}" if shortened else title


def _bound(target: dict[str, Any]) -> float | None:
    """What a target's bar is drawn in units of; None where it cannot be drawn."""
    bound = target["at_least"] if target["at_least"] is not None else target["aim"]
    return float(bound) if bound else None


def _placed(target: dict[str, Any], value: float) -> float:
    """A value in units of the bound, and so that further to the right is better."""
    bound = _bound(target) or 1.0
    if target["better"] == "less":
        value, bound = bound, value
    return min(_HIGH, max(_LOW, value / bound if bound else _HIGH))


def _draw_targets(axes: Any, targets: list[tuple[str, dict[str, Any]]]) -> None:
    """A bar of the median a target, whiskers of the spread, a line at what is asked at least."""
    for row, (_, target) in enumerate(targets):
        median = _placed(target, target["median"])
        ends = sorted(_placed(target, target[key]) for key in ("least", "most"))
        axes.barh(row, median - _LEFT, left=_LEFT, color=_colour(target), height=0.6)
        axes.plot(ends, [row, row], color="black", linewidth=1.2, marker="|", markersize=7)
        if target["aim"]:
            axes.plot(_placed(target, target["aim"]), row, "D", color="black", markersize=5)
        axes.text(_HIGH * 1.1, row, _words(target), va="center", family="monospace", fontsize=8)
    axes.axvline(1.0, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlim(_LEFT, _HIGH)
    axes.set_xticks([0.1, 0.2, 0.5, 1, 2, 5, 10], ["0.1", "0.2", "0.5", "1", "2", "5", "10"])
    axes.minorticks_off()
    axes.set_yticks(range(len(targets)), [name for name, _ in targets])
    axes.invert_yaxis()
    axes.set_xlabel("times what is asked at least (line); to the right is better; diamond: the aim")
    axes.spines[["top", "right"]].set_visible(False)


def _words(target: dict[str, Any]) -> str:
    spread = f"{number(target['least'])} to {number(target['most'])}"
    return f"{number(target['median']):>8}  ({spread})  {judged(target)}"


def _colour(target: dict[str, Any]) -> str:
    if target["reached"] is False:
        return _MISSED
    if target["aim_reached"]:
        return _AIMED
    return _REACHED if target["reached"] else _FREE


Rates = dict[str, dict[str, dict[str, dict[str, Any]]]]  # rate, system, percentile: figure


def _latencies(results: dict[str, Any]) -> Rates:
    """The latencies by rate, system and percentile, as the section `latency` names them."""
    found: Rates = {}
    for figure in results["sections"].get("latency", {}).get("figures", []):
        if match := _LATENCY.fullmatch(figure["name"]):
            percentile, rate = match.groups()
            found.setdefault(rate, {}).setdefault(figure["system"], {})[percentile] = figure
    return found


def _draw_latencies(part: Any, rates: Rates) -> None:
    """One panel a rate: a line a system over the percentiles, and the spread of the rounds."""
    panels = part.subplots(1, len(rates), sharey=True, squeeze=False)[0]
    for axes, (rate, systems) in zip(panels, rates.items(), strict=True):
        for (system, percentiles), colour in zip(systems.items(), _COLOURS, strict=False):
            names = list(percentiles)
            median, least, most = (
                [percentiles[name][key] for name in names] for key in ("median", "least", "most")
            )
            axes.plot(names, median, marker="o", color=colour, label=system)
            axes.fill_between(names, least, most, color=colour, alpha=0.2)
        axes.set_yscale("log")
        axes.set_title(f"{rate} scans a second")
        axes.grid(axis="y", which="both", alpha=0.3)
    panels[0].set_ylabel("ms from when it was due")
    panels[0].legend(fontsize=8)
    part.suptitle("Latency at a fixed rate: median and spread of the rounds", x=0.01, ha="left")
