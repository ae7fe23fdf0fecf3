"""`python -m benchmarks`: measure, print what was found against its targets, keep and draw it."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from pathlib import Path

import click

from benchmarks.discovery import all_sections
from benchmarks.report import machine, results, table
from benchmarks.section import Bench, Found, Section

RESULTS = Path(__file__).parent / "results"


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)


async def _measure(section: Section, rounds: int, scale: float) -> Found:
    """Measure a section in a folder of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=f"voketag-bench-{section.name}-") as folder:
        return await section.measure(Bench(Path(folder), rounds, scale, _say))


def _with_note_of_others(found: Found, percent: float) -> Found:
    if percent <= machine.OTHERS_MAX_PERCENT:
        return found
    note = f"Others used {percent:.0f} % of the machine meanwhile: measure on a quiet one."
    return Found(found.figures, found.targets, (*found.notes, note))


def run(sections: Mapping[str, Section], rounds: int, scale: float, folder: Path) -> bool:
    """Measure these sections, one after the other, and keep each as soon as it is there.

    Gives whether all could be measured; one that fails does not stop the others.
    """
    failed = []
    for name, section in sections.items():
        taken, others = machine.taken(), machine.Others()
        _say(f"{name}: {section.title}")
        try:
            found = asyncio.run(_measure(section, rounds, scale))
        except Exception:
            traceback.print_exc()
            failed.append(name)
            continue
        found = _with_note_of_others(found, others.percent())
        kept = results.of_section(section, found, rounds, scale, taken)
        results.merge(folder / "bench.json", name, kept)
    known = results.read(folder / "bench.json")
    print()
    for line in table.lines(known, [name for name in sections if name not in failed]):
        print(line)
    _draw(known, folder / "bench.png")
    for name in failed:
        print(f"{name}: FAILED, see above; nothing was kept of it", file=sys.stderr)
    return not failed


def _draw(known: results.Results, path: Path) -> None:
    if importlib.util.find_spec("matplotlib") is None:
        print(f"{path.name} NOT DRAWN: matplotlib is not installed, make bench installs it")
        return
    # It takes a second to load, and only a whole run needs it.
    from benchmarks.report import chart

    chart.draw(known, path)


@click.command()
@click.option("--only", multiple=True, metavar="NAME", help="A section; may be given repeatedly.")
@click.option("--rounds", type=click.IntRange(1, 100), default=3, show_default=True)
@click.option("--scale", type=click.FloatRange(0.01, 10), default=1.0, show_default=True)
@click.option("--results", "folder", type=click.Path(path_type=Path), default=RESULTS)
def main(only: tuple[str, ...], rounds: int, scale: float, folder: Path) -> None:
    """Measure VokeTag against its targets and its peers. A SCALE below 1 shortens every run."""
    known = all_sections()
    if unknown := set(only) - set(known):
        named = ", ".join(sorted(unknown))
        raise click.UsageError(f"no section {named}; there are {', '.join(known)}")
    chosen = {name: section for name, section in known.items() if not only or name in only}
    if not run(chosen, rounds, scale, folder):
        sys.exit(1)


if __name__ == "__main__":
    main()
