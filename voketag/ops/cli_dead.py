"""`voketag dead`: entries that were given up."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click
import msgspec

from voketag.ops import instance
from voketag.ops.command import FAILED, ask, carry_out

if TYPE_CHECKING:
    from voketag.ops.dead import Action

_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
_reason = click.option("--reason", help="Why; kept with the record of what was done.")
_all = click.option("--all", "every", is_flag=True, help="Every one that is there now.")
_dry_run = click.option("--dry-run", is_flag=True, help="Only show what it would do.")
_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group()
def dead() -> None:
    """Dead letters: stream entries that were given up, with the reason.

    STREAM is a stream's name as `dead list` shows it, such as 'scans:{0}'.
    """


@dead.command("list")
@click.argument("stream", required=False)
@click.option(
    "--count",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="The oldest so many of each stream.",
)
@_json
def list_letters(stream: str | None, count: int, as_json: bool) -> None:
    """Show what was given up in STREAM, or in every stream."""
    from voketag.ops import dead as letters
    from voketag.ops.dead_answers import in_short
    from voketag.redis import dead_letters

    async def work() -> None:
        found = instance.find(os.environ)
        names = letters.streams_of(found.shards, stream)
        async with letters.opened(found) as redis:
            totals = await dead_letters.counts(redis, names)
            for name in filter(totals.get, names):
                shown = await letters.letters(redis, name, count)
                if as_json:
                    click.echo("\n".join(_as_json(in_short(letter)) for letter in shown))
                    continue
                click.echo(f"{name}: {totals[name]}")
                for letter in shown:
                    click.echo(f"  {letters.summary(letter)}")
                if totals[name] > len(shown):
                    click.echo(f"  … and {totals[name] - len(shown)} younger ones; see --count")
        if not any(totals.values()) and not as_json:
            click.echo("There are no dead letters.")

    carry_out(work())


@dead.command()
@click.argument("stream")
@click.argument("entry_id")
@_json
def show(stream: str, entry_id: str, as_json: bool) -> None:
    """Show one of them whole, without what could lead to a person."""
    from voketag.ops import dead as letters
    from voketag.ops.dead_answers import whole

    async def work() -> None:
        found = instance.find(os.environ)
        (name,) = letters.streams_of(found.shards, stream)
        async with letters.opened(found) as redis:
            for letter in await letters.chosen(redis, name, (entry_id,)):
                if as_json:
                    click.echo(_as_json(whole(letter)))
                else:
                    click.echo("\n".join(letters.description(letter)))

    carry_out(work())


def _as_json(value: msgspec.Struct) -> str:
    return msgspec.json.encode(value).decode()


@dead.command()
@click.argument("stream")
@click.argument("entry_ids", nargs=-1)
@_all
@_dry_run
@_yes
@_reason
def redrive(
    stream: str,
    entry_ids: tuple[str, ...],
    every: bool,
    dry_run: bool,
    yes: bool,
    reason: str | None,
) -> None:
    """Put entries back at the end of STREAM.

    Events keep their ids, so that one which was handled after all changes nothing.
    """
    _act("redrive", stream, entry_ids, every=every, dry_run=dry_run, yes=yes, reason=reason)


@dead.command()
@click.argument("stream")
@click.argument("entry_ids", nargs=-1)
@_all
@_dry_run
@_yes
@_reason
def drop(
    stream: str,
    entry_ids: tuple[str, ...],
    every: bool,
    dry_run: bool,
    yes: bool,
    reason: str | None,
) -> None:
    """Throw entries away. What they held stays in the table dead_letter_audit."""
    _act("drop", stream, entry_ids, every=every, dry_run=dry_run, yes=yes, reason=reason)


def _act(
    action: Action,
    stream: str,
    entry_ids: tuple[str, ...],
    *,
    every: bool,
    dry_run: bool,
    yes: bool,
    reason: str | None,
) -> None:
    from voketag.ops import dead as letters

    if every == bool(entry_ids):
        raise click.UsageError("Name the entries by their ids, or say --all.")

    async def work() -> bool:
        found = instance.find(os.environ)
        (name,) = letters.streams_of(found.shards, stream)
        async with letters.opened(found) as redis:
            chosen = (
                await letters.letters(redis, name)
                if every
                else await letters.chosen(redis, name, entry_ids)
            )
            for letter in chosen:
                click.echo(f"{name}  {letters.summary(letter)}")
            what = f"{action} {len(chosen)} {'entry' if len(chosen) == 1 else 'entries'} of {name}"
            if dry_run or not chosen:
                click.echo(f"Would {what}; nothing was done.")
                return True
            if not yes and not ask(f"{what.capitalize()}?"):
                click.echo("Nothing was done; --yes does it without asking.")
                return False
            return await letters.act_on_all(found, redis, action, chosen, reason, click.echo)

    if not carry_out(work()):
        sys.exit(FAILED)
