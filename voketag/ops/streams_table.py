"""The view of the streams as lines of a terminal: text first, colour beside it, never instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import click

from voketag.ops.streams_view import View, words
from voketag.printable import visible

UNKNOWN = "unknown"
_HEAD = ("STREAM", "LENGTH", "DEAD", "GROUP", "LAG", "PENDING", "OLDEST", "CONSUMERS", "STATE")
_TO_THE_RIGHT = frozenset({"LENGTH", "DEAD", "LAG", "PENDING", "OLDEST", "CONSUMERS"})
_SPARED_FIRST = ("LENGTH", "CONSUMERS", "PENDING", "LAG", "DEAD")  # where the terminal is narrow
_GAP = "  "
_STYLES = {
    "plain": {},
    "strong": {"bold": True},
    "faint": {"dim": True},
    "wrong": {"fg": "red", "bold": True},
    "fine": {"fg": "green"},
}


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a line; `style` is one of those above."""

    text: str
    style: str = "plain"


Line = tuple[Span, ...]


def table(view: View, width: int | None = None, height: int | None = None) -> list[Line]:
    """The view in `height` lines of `width` columns; None for as many as it takes.

    Where the rows are too many, those with something wrong come first and the last line says how
    many are not shown.
    """
    rows = _rows(view)
    body = _laid_out([_HEAD, *(cells for cells, _ in rows)], width)
    lines = [_row(cells, wrong) for cells, (_, wrong) in zip(body[1:], rows, strict=True)]
    top: list[Line] = [_rates(view), (), (Span(_GAP.join(body[0]).rstrip(), "faint"),)]
    bottom: list[Line] = [(), _verdict(view)]
    if height is not None and len(top) + len(lines) + len(bottom) > height:
        room = max(1, height - len(top) - 2)
        order = sorted(range(len(lines)), key=lambda at: not rows[at][1])
        hidden = len(lines) - room
        lines = [lines[at] for at in order[:room]]
        bottom = [(Span(f"… {hidden} more do not fit", "faint"),), _verdict(view)]
    return [_cut(line, width) for line in [*top, *lines, *bottom]]


def text_of(lines: Sequence[Line], *, colour: bool) -> str:
    """Lines as text, with ANSI's colours or without."""
    return "\n".join(
        "".join(
            click.style(span.text, **_STYLES[span.style]) if colour and span.text else span.text  # type: ignore[arg-type]
            for span in line
        )
        for line in lines
    )


def _rates(view: View) -> Line:
    told = view.per_second
    spans = [Span("VokeTag", "strong"), Span(f"{_GAP}{view.at[11:19]}Z")]
    for name, rate in (
        ("accepted", told.accepted),
        ("scored", told.scored),
        ("stored", told.stored),
    ):
        shown = UNKNOWN if rate is None else f"{rate:,.1f}/s"
        spans += [Span(f"{_GAP}{name} ", "faint"), Span(shown, "strong")]
    return tuple(spans)


def _verdict(view: View) -> Line:
    if view.wrong:
        return (Span("✗ Something is wrong", "wrong"), Span(": see STATE.", "plain"))
    return (Span("✓ Nothing is wrong.", "fine"),)


Row = tuple[tuple[str, ...], bool]


def _rows(view: View) -> list[Row]:
    rows: list[Row] = []
    for stream in view.streams:
        first = (visible(stream.stream), f"{stream.length:,}", f"{stream.dead:,}")
        wrong = stream.wrong
        for group in stream.groups:
            here = (*wrong, *group.wrong)
            cells = (
                *first,
                visible(group.group),
                UNKNOWN if group.lag is None else f"{group.lag:,}",
                f"{group.pending:,}",
                duration(group.oldest_unacked_s),
                f"{group.consumers:,}",
                words(here),
            )
            rows.append((cells, bool(here)))
            first, wrong = ("", "", ""), ()
    return rows


def duration(seconds: float) -> str:
    """An age for a person: two figures of what matters; `-` for none."""
    if seconds <= 0:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    for size, name, part, below in ((86_400, "d", 3600, "h"), (3600, "h", 60, "m")):
        if whole >= size:
            return f"{whole // size}{name}{whole % size // part:02}{below}"
    return f"{whole // 60}m{whole % 60:02}s"


def _laid_out(rows: Sequence[tuple[str, ...]], width: int | None) -> list[tuple[str, ...]]:
    """Cells padded to their column, numbers to the right; what matters least is left out where the
    columns do not fit.
    """
    columns = list(zip(*rows, strict=True))
    spared = iter(_SPARED_FIRST)
    while width is not None and _width(columns) > width and (name := next(spared, None)):
        columns = [column for column in columns if column[0] != name]
    padded = [_padded(column) for column in columns]
    return list(zip(*padded, strict=True))


def _width(columns: Sequence[tuple[str, ...]]) -> int:
    return sum(max(map(len, column)) + len(_GAP) for column in columns) - len(_GAP)


def _padded(column: tuple[str, ...]) -> list[str]:
    width = max(map(len, column))
    if column[0] in _TO_THE_RIGHT:
        return [cell.rjust(width) for cell in column]
    return [cell.ljust(width) for cell in column]


def _row(cells: tuple[str, ...], wrong: bool) -> Line:
    *figures, state = cells
    style = "wrong" if wrong else "fine"
    return (Span(_GAP.join(figures) + _GAP), Span(state.rstrip(), style))


def _cut(line: Line, width: int | None) -> Line:
    """As much of a line as fits."""
    if width is None:
        return line
    kept: list[Span] = []
    for span in line:
        if len(span.text) > width:
            kept.append(Span(span.text[: max(0, width - 1)] + "…"[:width], span.style))
            break
        kept.append(span)
        width -= len(span.text)
    return tuple(kept)
