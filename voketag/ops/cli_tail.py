"""`voketag tail`: the streams as they go by."""

from __future__ import annotations

import contextlib
import os
import sys

import click

from voketag.ops import instance
from voketag.ops.command import carry_out

_KINDS = ("scans", "scored", "batches", "roots", "notices")
_VERDICTS = ("authentic", "suspicious", "high_risk", "recalled", "not_recognised")


@click.command()
@click.argument("kinds", nargs=-1, type=click.Choice(_KINDS), metavar=f"[{'|'.join(_KINDS)}]...")
@click.option(
    "--verdict",
    "verdicts",
    multiple=True,
    type=click.Choice(_VERDICTS),
    help="Only scans of this verdict, as they are scored; may be repeated.",
)
@click.option("--from-start", is_flag=True, help="Begin with what the streams still hold.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--count", type=click.IntRange(min=1), help="Stop after so many lines.")
def tail(
    kinds: tuple[str, ...],
    verdicts: tuple[str, ...],
    from_start: bool,
    as_json: bool,
    count: int | None,
) -> None:
    """Follow the streams, all or those named: one line an entry, without personal data.

    A scan passes by twice: in scans as it is accepted, in scored with its verdict.
    """
    from voketag.ops import screen
    from voketag.ops import tail as tailing

    colour = not as_json and sys.stdout.isatty() and screen.wants_colour(os.environ)

    async def work() -> None:
        found = instance.find(os.environ)
        try:
            streams = tailing.streams_of(kinds, found.shards, verdicts)
        except tailing.NoVerdict as error:
            raise click.UsageError(str(error)) from None
        if sys.stderr.isatty():
            click.echo(f"Following {', '.join(streams)}; Ctrl-C ends.", err=True)
        left = count
        async with contextlib.aclosing(
            tailing.records(found.redis_url, streams, from_start=from_start, verdicts=verdicts)
        ) as records:
            async for record in records:
                line = tailing.json_of if as_json else tailing.line_of
                click.echo(tailing.coloured(line(record), record) if colour else line(record))
                left = None if left is None else left - 1
                if left == 0:
                    return

    carry_out(work())
