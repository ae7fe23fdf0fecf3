"""Dead letters over HTTP: the same as `voketag dead`, for a program, or a person in a browser.

The name of a stream holds braces: in a path it is percent-encoded, `scans:%7B0%7D`; as they are,
they are taken too. Of several entries each has an outcome of its own: nothing can put all of them
back or none.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import msgspec
from aiohttp import web

from voketag.cursors import bad_cursor, cursor_after_entry, read_entry_cursor
from voketag.errors import InvalidField, Unavailable
from voketag.http.problems import not_found
from voketag.http.requests import read_body, read_query
from voketag.http.routes import Handler, Route, json_response
from voketag.ops import dead
from voketag.ops.access import actor_of
from voketag.ops.dead import Action, NoSuchLetter
from voketag.ops.dead_answers import (
    DEAD_ACTIONS,
    DeadAction,
    DeadActionAnswer,
    DeadActionBody,
    DeadPage,
    DeadQuery,
    Outcome,
    Outcomes,
    WholeLetter,
    in_short,
    of_stream,
    whole,
)
from voketag.printable import is_printable
from voketag.process import Wires
from voketag.redis import dead_letters
from voketag.redis.dead_letters import ENTRY_ID_PATTERN, DeadLetter, is_entry_id
from voketag.roles import Actor

ALL_MAX = 1000  # entries that one call with `all` reaches
ALL_FOR_S = 5.0  # and for how long it goes on
_WOULD: Mapping[Action, Outcomes] = {"redrive": "would_redrive", "drop": "would_drop"}
_DONE: Mapping[Action, Outcomes] = {"redrive": "redriven", "drop": "dropped"}
_action = msgspec.json.Decoder(DeadAction)


class Dead:
    """The routes over their wires."""

    def __init__(self, wires: Wires) -> None:
        self._wires = wires
        self._redis = wires.streams.redis

    async def list(self, request: web.Request) -> web.Response:
        """How many each stream has, and a page of them."""
        query = read_query(request, DeadQuery)
        try:
            names = dead.streams_of(self._wires.settings.shards, query.stream)
        except NoSuchLetter as error:
            raise InvalidField("stream", str(error)) from None
        begins, after = _read_cursor(query.cursor, names)
        heads = await dead_letters.heads(self._redis, names)
        found: list[DeadLetter] = []
        for name in names[names.index(begins) :]:
            wanted = query.limit + 1 - len(found)
            if heads[name].count and wanted:
                found += await dead_letters.oldest(
                    self._redis, name, wanted, after if name == begins else ""
                )
        shown = found[: query.limit]
        more = len(found) > query.limit
        cursor = cursor_after_entry(shown[-1].stream, shown[-1].entry_id) if more else None
        streams = tuple(of_stream(name, heads[name]) for name in names)
        return json_response(DeadPage(streams, tuple(map(in_short, shown)), cursor))

    async def show(self, request: web.Request) -> web.Response:
        """One of them whole."""
        stream = self._stream(request)
        letter = await dead_letters.find(self._redis, stream, request.match_info["entry_id"])
        if letter is None:
            raise not_found(f"{stream} has no dead letter with this id.")
        return json_response(whole(letter))

    def acting(self, action: Action) -> Handler:
        """The handler of POST /v1/dead/{stream}/redrive or /drop."""

        async def act(request: web.Request) -> web.Response:
            stream = self._stream(request)
            body = await read_body(request, _action)
            _check(body)
            entries = await self._act(action, stream, body, actor_of(request))
            try:
                remaining = (await dead_letters.counts(self._redis, [stream]))[stream]
            except Unavailable:
                remaining = None  # what was done is worth more than this figure
            return json_response(DeadActionAnswer(stream, body.dry_run, entries, remaining))

        return act

    def _stream(self, request: web.Request) -> str:
        try:
            (name,) = dead.streams_of(self._wires.settings.shards, request.match_info["stream"])
        except NoSuchLetter as error:
            raise not_found(str(error)) from None
        return name

    async def _act(
        self, action: Action, stream: str, body: DeadAction, actor: Actor
    ) -> tuple[Outcome, ...]:
        """Act on one entry after another, each as if it were alone. A server that goes away ends
        the list there; Unavailable is raised where nothing stands on it yet.
        """
        # Those that are there now: one that is given up again while we are at it is not ours.
        chosen = body.entry_ids or [
            letter.entry_id for letter in await dead.letters(self._redis, stream, ALL_MAX)
        ]
        outcomes: list[Outcome] = []
        ends_s = time.monotonic() + ALL_FOR_S
        for entry_id in dict.fromkeys(chosen):
            if body.all and outcomes and time.monotonic() > ends_s:
                break
            try:
                outcomes.append(await self._act_on(action, stream, entry_id, body, actor))
            except Unavailable:
                if not outcomes:
                    raise
                outcomes.append(Outcome(entry_id, "unknown"))
                break
        return tuple(outcomes)

    async def _act_on(
        self, action: Action, stream: str, entry_id: str, body: DeadAction, actor: Actor
    ) -> Outcome:
        letter = await dead_letters.find(self._redis, stream, entry_id)
        if letter is None:
            return Outcome(entry_id, "gone")
        if body.dry_run:
            return Outcome(entry_id, _WOULD[action], letter=in_short(letter))
        done = await dead.act(
            self._redis,
            self._wires.database,
            action,
            letter,
            body.reason,
            via="api",
            actor=actor,
        )
        if done.gone:
            return Outcome(entry_id, "gone")
        return Outcome(entry_id, _DONE[action], done.new_id, in_short(letter))


def _check(body: DeadAction) -> None:
    if (body.entry_ids is not None) == body.all:
        raise InvalidField("entry_ids", 'Either entry_ids or "all": true is needed.')
    for entry_id in body.entry_ids or ():
        if not is_entry_id(entry_id):
            raise InvalidField(
                "entry_ids", "An entry's id is two numbers, such as 1700000000000-0."
            )
    if body.reason is not None and not is_printable(body.reason):
        raise InvalidField("reason", "Printable text of one line is accepted.")


def _read_cursor(cursor: str | None, names: list[str]) -> tuple[str, str]:
    """The stream at which a page begins and the entry it follows there, "" for the first page."""
    if cursor is None:
        return names[0], ""
    stream, entry_id = read_entry_cursor(cursor)
    if stream not in names or not is_entry_id(entry_id):
        raise bad_cursor()
    return stream, entry_id


def routes(wires: Wires) -> list[Route]:
    """The routes of dead letters."""
    over = Dead(wires)
    read = [
        Route(
            "GET",
            "/v1/dead",
            over.list,
            "How many entries of each stream were given up, and which",
            {200: DeadPage},
            query=DeadQuery,
            security="viewer",
        ),
        Route(
            "GET",
            "/v1/dead/{stream}/{entry_id}",
            over.show,
            "A dead letter whole, without what could lead to a person",
            {200: WholeLetter},
            patterns={"entry_id": ENTRY_ID_PATTERN},
            security="analyst",
        ),
    ]
    summaries: tuple[tuple[Action, str], ...] = (
        ("redrive", "Put dead letters back at the end of their stream; a dry run unless told"),
        ("drop", "Throw dead letters away, after writing them down; a dry run unless told"),
    )
    return read + [
        Route(
            "POST",
            f"/v1/dead/{{stream}}/{action}",
            over.acting(action),
            summary,
            {200: DeadActionAnswer},
            body=DeadActionBody,
            examples=DEAD_ACTIONS,
            security="admin",
        )
        for action, summary in summaries
    ]
