"""Watching the streams: once, as lines one after another, or on a screen that stays up to date."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping

import click
import msgspec

from voketag.errors import Unavailable
from voketag.ops import dead, instance, screen
from voketag.ops.streams_table import Line, Span, table, text_of
from voketag.ops.streams_view import Reader, View
from voketag.printable import visible
from voketag.tasks import pause

RATES_OVER_S = 1.0


async def once(environ: Mapping[str, str], *, as_json: bool) -> None:
    """Print one view; its rates are those of a second. Raises Unavailable."""
    found = instance.find(environ)
    async with dead.opened(found) as redis:
        reader = Reader(redis, found.shards)
        await reader.read()
        await asyncio.sleep(RATES_OVER_S)
        click.echo(_printed(await reader.read(), as_json=as_json, environ=environ))


async def watch(environ: Mapping[str, str], every_s: float, *, as_json: bool) -> None:
    """Show views for ever, one every `every_s` seconds. While Redis is away it says so, and goes
    on afterwards.
    """
    found = instance.find(environ)
    async with dead.opened(found) as redis:
        reader = Reader(redis, found.shards)
        if as_json or not screen.is_capable(sys.stdout, environ):
            await _print_on_and_on(reader, every_s, as_json=as_json, environ=environ)
        else:
            with screen.shown() as shown:
                await _draw_on_and_on(reader, every_s, shown, screen.wants_colour(environ))


async def _print_on_and_on(
    reader: Reader, every_s: float, *, as_json: bool, environ: Mapping[str, str]
) -> None:
    while True:
        try:
            view = await reader.read()
        except Unavailable as error:
            click.echo(f"voketag: {error}", err=True)
        else:
            click.echo(_printed(view, as_json=as_json, environ=environ))
            if not as_json:
                click.echo()
        await asyncio.sleep(every_s)


async def _draw_on_and_on(
    reader: Reader, every_s: float, shown: screen.Screen, colour: bool
) -> None:
    while not shown.ended:
        view: View | Unavailable
        try:
            view = await reader.read()
        except Unavailable as error:
            view = error
        await _show(view, every_s, shown, colour)


async def _show(view: View | Unavailable, for_s: float, shown: screen.Screen, colour: bool) -> None:
    """Keep a view on the screen for so long, whatever becomes of its size."""
    loop = asyncio.get_running_loop()
    ends_at_s = loop.time() + for_s
    while not shown.ended and (left_s := ends_at_s - loop.time()) > 0:
        shown.draw(text_of(_drawn(view, *shown.size), colour=colour))
        await pause(left_s, shown.changed)


def _drawn(view: View | Unavailable, columns: int, lines: int) -> list[Line]:
    if isinstance(view, View):
        return table(view, columns, lines)
    return [
        (Span("VokeTag", "strong"),),
        (),
        (Span("✗ REDIS DOES NOT ANSWER", "wrong"),),
        (Span(visible(str(view))[:columns]),),
        (Span("Nothing is known until it does; asked again and again.", "faint"),),
    ]


def _printed(view: View, *, as_json: bool, environ: Mapping[str, str]) -> str:
    if as_json:
        return msgspec.json.encode(view).decode()
    colour = screen.is_capable(sys.stdout, environ) and screen.wants_colour(environ)
    return text_of(table(view), colour=colour)
