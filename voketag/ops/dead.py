"""Dead letters for a person: what there is, what it says, and putting it back or throwing it away.

Whatever is done is first written down in Postgres with all that the entry held.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from redis.asyncio import Redis

from voketag import events, identifiers
from voketag.errors import VokeTagError
from voketag.events import DEAD_SUFFIX
from voketag.ops.instance import Instance
from voketag.printable import visible
from voketag.records import audit
from voketag.records import dead_letters as kept
from voketag.records.database import Database
from voketag.redis import dead_letters
from voketag.redis.connection import connect
from voketag.redis.dead_letters import DeadLetter
from voketag.roles import COMMAND_LINE, Actor

Action = Literal["redrive", "drop"]
PAGE = 100
WITHHELD = "[withheld]"
_NOTED: Mapping[Action, audit.Action] = {
    "redrive": "dead_letter.redrive",
    "drop": "dead_letter.drop",
}
_PERSONAL = frozenset({"ip_hash", "fingerprint_hash", "location", "device"})


class NoSuchLetter(VokeTagError):
    """The stream or the entry does not exist; the message says what does."""


@dataclass(frozen=True, slots=True)
class Done:
    """What was done with one dead letter; `new_id` is the entry a redriven one became.

    `gone` says that somebody else was faster: nothing was done.
    """

    letter: DeadLetter
    new_id: str | None = None
    gone: bool = False


@contextlib.asynccontextmanager
async def opened(instance: Instance) -> AsyncIterator[Redis]:
    """The instance's Redis."""
    redis = connect(instance.redis_url)
    try:
        yield redis
    finally:
        await redis.aclose()


def streams_of(shards: int, name: str | None) -> list[str]:
    """The stream called `name`, with or without `:dead`; every stream for None. Raises
    NoSuchLetter.
    """
    known = events.all_streams(shards)
    if name is None:
        return known
    stream = name.removesuffix(DEAD_SUFFIX)
    if stream not in known:
        raise NoSuchLetter(f"There is no stream {stream}; there are {', '.join(known)}.")
    return [stream]


async def letters(redis: Redis, stream: str, most: int | None = None) -> list[DeadLetter]:
    """The dead letters of a stream that are there now, the oldest first, up to `most`."""
    found: list[DeadLetter] = []
    while most is None or len(found) < most:
        count = PAGE if most is None else min(PAGE, most - len(found))
        page = await dead_letters.oldest(redis, stream, count, found[-1].entry_id if found else "")
        found += page
        if len(page) < count:
            break
    return found


async def chosen(redis: Redis, stream: str, entry_ids: tuple[str, ...]) -> list[DeadLetter]:
    """These dead letters of a stream. Raises NoSuchLetter for an id that is not there."""
    found = []
    for entry_id in entry_ids:
        letter = await dead_letters.find(redis, stream, entry_id)
        if letter is None:
            where = dead_letters.dead_stream(redis, stream)
            raise NoSuchLetter(f"{where} has no entry {entry_id}; `voketag dead list` shows them.")
        found.append(letter)
    return found


async def act_on_all(
    instance: Instance,
    redis: Redis,
    action: Action,
    chosen: Sequence[DeadLetter],
    reason: str | None,
    say: Callable[[str], None],
) -> bool:
    """Act on dead letters one after another and say of each what came of it.

    Gives whether all of them were still there.
    """
    database = await Database.open(instance.database_url, most=1)
    all_there = True
    try:
        for letter in chosen:
            done = await act(redis, database, action, letter, reason, via="cli", actor=COMMAND_LINE)
            all_there = all_there and not done.gone
            if done.gone:
                say(f"{letter.entry_id}  is not there any more: nothing was done")
            elif done.new_id is not None:
                say(f"{letter.entry_id}  is entry {done.new_id} of {letter.stream} now")
            else:
                say(f"{letter.entry_id}  dropped")
    finally:
        await database.close()
    return all_there


async def act(
    redis: Redis,
    database: Database,
    action: Action,
    letter: DeadLetter,
    reason: str | None,
    *,
    via: kept.Door,
    actor: Actor,
) -> Done:
    """Put a dead letter back, or throw it away, having written that down.

    Where the reply was lost (Unavailable), it may have happened or not, and the row stays.
    """
    async with database.transaction() as connection:
        audit_id = await kept.note(
            connection,
            stream=letter.stream,
            entry_id=letter.entry_id,
            action=action,
            reason=reason,
            event=preserved(letter.fields),
            via=via,
        )
        target = f"{letter.stream} {letter.entry_id}"
        detail = {"reason": reason}
        await audit.note(connection, actor, _NOTED[action], target, detail, audit_id=audit_id)
    new_id, gone = None, False
    if action == "redrive":
        new_id = await dead_letters.redrive(redis, letter.stream, letter.entry_id)
        gone = new_id is None
    else:
        gone = not await dead_letters.drop(redis, letter.stream, letter.entry_id)
    if gone:
        async with database.transaction() as connection:
            await kept.withdraw(connection, audit_id)
            await audit.withdraw(connection, audit_id)
    return Done(letter, new_id, gone)


def preserved(fields: Mapping[str, bytes]) -> bytes:
    """All fields of an entry as JSON from which its bytes can be had again: text as it is, what is
    not UTF-8 as {"base64": ...}.
    """
    kept: dict[str, Any] = {}
    for name, value in fields.items():
        try:
            kept[name] = value.decode()
        except UnicodeDecodeError:
            kept[name] = {"base64": value}
    return msgspec.json.encode(kept)


def readable(value: bytes) -> Any:
    """A field of a dead letter for a person: its JSON without what could lead to somebody, or, of
    what is not JSON, the text as Python writes it.
    """
    try:
        return _without_personal(msgspec.json.decode(value))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return value.decode() if value.isascii() and value.decode().isprintable() else repr(value)


def summary(letter: DeadLetter) -> str:
    """A dead letter as one line."""
    at = identifiers.rfc3339(identifiers.time_of_ms(letter.buried_at_ms))[:19]
    error = visible(" ".join(letter.error.split()))
    error = error if len(error) <= 100 else error[:99] + "…"
    group, attempts = visible(letter.group), visible(letter.attempts)
    return f"{letter.entry_id:<17} {at}Z {group:<9} tried {attempts}x  {error}"


def description(letter: DeadLetter) -> Iterator[str]:
    """A dead letter on several lines, its event laid out, what could lead to a person left out."""
    at = identifiers.rfc3339(identifiers.time_of_ms(letter.buried_at_ms))
    yield f"stream    {letter.stream}"
    yield f"entry     {letter.entry_id} among the dead letters, {letter.original_id} before"
    times = "once" if letter.attempts == "1" else f"{visible(letter.attempts)} times"
    yield f"buried    {at} by group {visible(letter.group)}, tried {times}"
    yield f"error     {visible(letter.error)}"
    for name, value in letter.fields.items():
        lines = _laid_out(value).split("\n")
        yield f"{visible(name):<9} {visible(lines[0])}"
        yield from (" " * 10 + visible(line) for line in lines[1:])


def _laid_out(value: bytes) -> str:
    """A field as indented JSON where it is JSON, else as it is."""
    known = readable(value)
    if isinstance(known, str):
        return known
    return msgspec.json.format(msgspec.json.encode(known), indent=2).decode()


def _without_personal(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: WITHHELD if name in _PERSONAL and item else _without_personal(item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_without_personal(item) for item in value]
    return value
