"""What the API of dead letters takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from voketag import identifiers
from voketag.moments import Moment
from voketag.ops.dead import readable
from voketag.printable import PRINTABLE_PATTERN
from voketag.redis.dead_letters import DeadLetter, Head

LIST_MAX = 1000
LIST_DEFAULT = 100
NAMED_MAX = 100  # entries that one call may name
REASON_MAX_CHARACTERS = 500
ERROR_SHOWN_CHARACTERS = 300


class Letter(msgspec.Struct, frozen=True):
    """A dead letter in short. `entry_id` is its id among the dead letters, `original_id` the one it
    had in `stream`; a long error is cut.
    """

    stream: Annotated[str, Meta(examples=["roots"])]
    entry_id: Annotated[str, Meta(examples=["1772352000000-0"])]
    original_id: Annotated[str, Meta(examples=["1772351990000-0"])]
    group: Annotated[str, Meta(examples=["anchor"])]
    error: Annotated[str, Meta(examples=["entry version b'9'; this program reads b'1'"])]
    attempts: Annotated[str, Meta(examples=["5"])]
    buried_at: Moment


class WholeLetter(Letter, frozen=True):
    """A dead letter with its whole error and the fields it had: JSON as it is, without what could
    lead to a person.
    """

    fields: dict[str, Any]


class DeadOfStream(msgspec.Struct, frozen=True):
    """How many dead letters a stream has, and the oldest of them."""

    stream: str
    dead: int
    oldest: Letter | None


class DeadPage(msgspec.Struct, frozen=True):
    """Every stream asked for, some dead letters of theirs, and the cursor of the page after them.

    The letters are ordered by stream and then by age, the oldest first.
    """

    streams: tuple[DeadOfStream, ...]
    letters: tuple[Letter, ...]
    next_cursor: str | None


class DeadQuery(msgspec.Struct, frozen=True):
    """The query of GET /v1/dead."""

    stream: Annotated[str, Meta(description="This stream alone, such as scans:{0}.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=LIST_MAX)] = LIST_DEFAULT
    cursor: Annotated[str, Meta(description="next_cursor of the page before.")] | None = None


# Some numbers of 20 digits are taken too, but no schema can say which.
_BELOW_2_64 = "[0-9]{1,19}"
EntryId = Annotated[
    str, Meta(max_length=41, extra_json_schema={"pattern": f"^{_BELOW_2_64}-{_BELOW_2_64}(?!\\n)$"})
]
Outcomes = Literal["redriven", "dropped", "would_redrive", "would_drop", "gone", "unknown"]
Reason = Annotated[
    str,
    Meta(max_length=REASON_MAX_CHARACTERS, extra_json_schema={"pattern": PRINTABLE_PATTERN}),
]


class DeadAction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of redrive and drop: which entries, and why.

    `dry_run` is true unless it is said to be false. The command line shows what it is about to do
    and asks; a request has nobody to ask, so the first one is the question. Whoever forgets the
    word finds nothing done and can say it again; one who forgot it the other way round could not
    take a drop back.
    """

    entry_ids: Annotated[tuple[EntryId, ...], Meta(min_length=1, max_length=NAMED_MAX)] | None = (
        None
    )
    all: bool = False
    reason: Reason | None = None
    dry_run: bool = True


class Outcome(msgspec.Struct, frozen=True):
    """What became, or in a dry run would become, of one entry. `new_id` is the id that a redriven
    one has in its stream now. `gone`: it is not there (any more). `unknown`: a server went away in
    the middle; asking again is safe.
    """

    entry_id: str
    outcome: Outcomes
    new_id: str | None = None
    letter: Letter | None = None


class DeadActionAnswer(msgspec.Struct, frozen=True):
    """What was done, entry by entry; entries that are not listed were not touched.

    `remaining` is how many dead letters the stream has now, null where that is not known. With
    `all`, more may be left than one call reaches: call again until it is 0.
    """

    stream: str
    dry_run: bool
    entries: tuple[Outcome, ...]
    remaining: int | None


_NAMED = {"required": ["entry_ids"], "properties": {"entry_ids": {"type": "array"}}}
_ALL = {"required": ["all"], "properties": {"all": {"const": True}}}
DeadActionBody = Annotated[DeadAction, Meta(extra_json_schema={"oneOf": [_NAMED, _ALL]})]
DEAD_ACTIONS: Mapping[str, Any] = {
    "What would be done": {"all": True},
    "One of them": {
        "entry_ids": ["1772352000000-0"],
        "dry_run": False,
        "reason": "The fix is in place.",
    },
}


def of_stream(stream: str, head: Head) -> DeadOfStream:
    """A stream as it is told."""
    return DeadOfStream(stream, head.count, None if head.oldest is None else in_short(head.oldest))


def in_short(letter: DeadLetter) -> Letter:
    """A dead letter in a list."""
    error = letter.error
    if len(error) > ERROR_SHOWN_CHARACTERS:
        error = error[: ERROR_SHOWN_CHARACTERS - 1] + "…"
    return Letter(
        letter.stream,
        letter.entry_id,
        letter.original_id,
        letter.group,
        error,
        letter.attempts,
        identifiers.time_of_ms(letter.buried_at_ms),
    )


def whole(letter: DeadLetter) -> WholeLetter:
    """A dead letter by itself."""
    short = msgspec.structs.asdict(in_short(letter)) | {"error": letter.error}
    fields = {name: readable(value) for name, value in letter.fields.items()}
    return WholeLetter(**short, fields=fields)
