"""Lines over time as an SVG that reads in light and in dark: a pure function of its figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, TOP, PANEL, GAP = 960, 84, 24, 92, 220, 70
COLOURS = ("#1f7fd1", "#d2691e", "#2e9e5b", "#a64ac9")
_STYLE = (
    "text{fill:#1b2733}.n{fill:#51606f;font-size:13px}.bg{fill:#fff}.g{stroke:#dde3ea}"
    ".a{stroke:#51606f}path{fill:none;stroke-width:1.8;stroke-linejoin:round}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.n{fill:#a3b1bf}.bg{fill:#0f1720}"
    ".g{stroke:#273441}.a{stroke:#a3b1bf}}"
)


@dataclass(frozen=True, slots=True)
class Line:
    """One figure: its name and its points, (seconds, value in the panel's unit)."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines that share an axis, which begins at 0; `unit` is written at it."""

    unit: str
    lines: Sequence[Line]


def draw(title: str, subtitle: str, panels: Sequence[Panel]) -> str:
    """The picture, one panel below the other, over the same minutes."""
    height = TOP + len(panels) * (PANEL + GAP)
    every = [at_s for panel in panels for line in panel.lines for at_s, _ in line.points]
    end_s = max(every, default=0.0) or 1.0
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-labelledby="t d" font-family="system-ui,sans-serif" font-size="15">',
        f'<title id="t">{escape(title)}</title><desc id="d">{escape(subtitle)}</desc>',
        f'<style>{_STYLE}</style><rect class="bg" width="{WIDTH}" height="{height}" rx="8"/>',
        f'<text x="{LEFT}" y="28" font-size="18">{escape(title)}</text>',
        f'<text x="{LEFT}" y="50" class="n">{escape(subtitle)}</text>',
    ]
    for number, panel in enumerate(panels):
        parts += _panel(panel, TOP + number * (PANEL + GAP), end_s, 2 * number)
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, top: int, end_s: float, colour: int) -> list[str]:
    bottom = top + PANEL
    step, highest = scale(max((v for line in panel.lines for _, v in line.points), default=0.0))
    parts = []
    for number in range(round(highest / step) + 1):
        value = number * step
        y = f"{bottom - PANEL * value / highest:.1f}"
        parts.append(f'<line class="g" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="n" x="{LEFT - 8}" y="{y}" dy="4" text-anchor="end">')
        parts[-1] += f"{value:,g}</text>"
    step_s, _ = scale(end_s / 60)
    for number in range(math.floor(end_s / 60 / step_s) + 1):
        x = f"{_x(number * step_s * 60, end_s):.1f}"
        parts.append(f'<text class="n" x="{x}" y="{bottom + 18}" text-anchor="middle">')
        parts[-1] += f"{number * step_s:g}</text>"
    parts.append(f'<line class="a" x1="{LEFT}" x2="{LEFT}" y1="{top}" y2="{bottom}"/>')
    parts.append(f'<line class="a" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>')
    parts.append(f'<text class="n" x="{LEFT}" y="{top - 20}" text-anchor="end">')
    parts[-1] += f"{escape(panel.unit)}</text>"
    parts.append(f'<text class="n" x="{WIDTH - RIGHT}" y="{bottom + 36}" text-anchor="end">')
    parts[-1] += "minutes</text>"
    for number, line in enumerate(panel.lines):
        stroke = COLOURS[(colour + number) % len(COLOURS)]
        spots = (
            f"{_x(at_s, end_s):.1f} {bottom - PANEL * value / highest:.1f}"
            for at_s, value in line.points
        )
        parts.append(f'<path stroke="{stroke}" d="M{" L".join(spots)}"/>')
        key = LEFT + 20 + 240 * number
        parts.append(f'<rect x="{key}" y="{top - 26}" width="16" height="4" fill="{stroke}"/>')
        parts.append(f'<text class="n" x="{key + 22}" y="{top - 20}">{escape(line.name)}</text>')
    return parts


def scale(value: float) -> tuple[float, float]:
    """The step between ticks, 1, 2 or 5 times a power of ten, and the first tick above `value`."""
    if value <= 0:
        return 1.0, 1.0
    power = 10.0 ** math.floor(math.log10(value / 4))
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= value / 5)
    return step, math.ceil(value / step) * step


def _x(at_s: float, end_s: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * at_s / end_s
