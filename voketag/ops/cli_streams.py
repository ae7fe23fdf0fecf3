"""`voketag streams`: how the streams stand, as a table that stays up to date."""

from __future__ import annotations

import os

import click

from voketag.ops.command import carry_out

EVERY_S = 2.0


@click.command()
@click.option(
    "--every",
    "every_s",
    metavar="SECONDS",
    type=click.FloatRange(0.1, 3600),
    default=EVERY_S,
    show_default=True,
    help="How often it is read.",
)
@click.option("--once", is_flag=True, help="Print one and exit, after a second that gives rates.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def streams(every_s: float, once: bool, as_json: bool) -> None:
    """Watch the streams: what waits, what is stuck, and who works on it. Ctrl-C ends.

    On a terminal it is one table that stays up to date; elsewhere one table after another. STATE
    says in words what is wrong; docs/alerts.md says what to do about it.
    """
    from voketag.ops import streams_watch

    if once:
        carry_out(streams_watch.once(os.environ, as_json=as_json))
    else:
        carry_out(streams_watch.watch(os.environ, every_s, as_json=as_json))
