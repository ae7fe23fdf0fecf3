"""`python -m chaos`: break VokeTag, then audit it. Status 1 where anything is not as promised."""

from __future__ import annotations

import secrets
import shutil
import sys
import tempfile
from pathlib import Path

import click
import uvloop

from chaos import table
from chaos.run import Interrupted, Order, run

PLANTS = {"ack-before-commit": ("persist", "python -m chaos.planted")}


@click.command()
@click.option("--kills", type=click.IntRange(min=0), default=25, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), help="Draw the faults that this seed draws.")
@click.option("--rate", type=float, default=100.0, show_default=True, help="Scans a second.")
@click.option("--only", default="", help="Kill only what has this in its name.")
@click.option("--plant", type=click.Choice(list(PLANTS)), help="Put a bug in, which must be found.")
@click.option("--keep", type=click.Path(path_type=Path), help="A new directory to leave it all in.")
def main(
    kills: int, seed: int | None, rate: float, only: str, plant: str | None, keep: Path | None
) -> None:
    """Kill, stop, cut and confuse a VokeTag of its own under load, then count what is left."""
    seed = secrets.randbelow(10**6) if seed is None else seed
    replaced = (PLANTS[plant],) if plant else ()
    order = Order(seed, kills, rate, only, replaced)
    if keep is not None:
        keep.mkdir(parents=True)
    home = keep or Path(tempfile.mkdtemp(prefix="voketag-chaos-"))
    try:
        told, audit = uvloop.run(run(order, home, _progress))
    except Interrupted:
        raise click.Abort from None
    _progress("")
    click.echo("\n".join(table.lines(told, audit)))
    if audit.findings:
        click.echo(f"\nagain: make chaos SEED={seed} KILLS={kills}")
        click.echo(f"what the processes said, and the ledger, stand in {home}")
        sys.exit(1)
    if keep is None:
        shutil.rmtree(home, ignore_errors=True)


def _progress(text: str) -> None:
    """On a terminal one line that the next replaces, elsewhere each line."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text[:110]}")
        sys.stderr.flush()
    elif text:
        print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
