"""Following the streams: one line an entry, and no personal data in it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import click
import msgspec

from voketag import events, identifiers
from voketag.errors import Rejected
from voketag.events import BatchAccepted, Notice, RootReady, Scan, ScoredScan
from voketag.printable import visible
from voketag.redis.following import Seen, follow

Record = dict[str, Any]
KINDS = ("scans", "scored", "batches", "roots", "notices")
_OF_SCANS = ("scans", "scored")
_COLOURS = {
    "authentic": "green",
    "suspicious": "yellow",
    "high_risk": "red",
    "recalled": "magenta",
    "not_recognised": "yellow",
}


class NoVerdict(ValueError):
    """Entries of that kind have no verdict."""


def streams_of(kinds: Sequence[str], shards: int, verdicts: Sequence[str] = ()) -> list[str]:
    """The streams of these kinds; of every kind where none is named.

    A scan has a verdict once it is scored: with `verdicts`, scans are shown as they are scored.
    Raises NoVerdict where a kind is named that never has one.
    """
    if verdicts:
        without = [kind for kind in kinds if kind not in _OF_SCANS]
        if without:
            raise NoVerdict(f"--verdict is about scans; {', '.join(without)} have none.")
        kinds = ("scored",)
    wanted = kinds or KINDS
    return [name for name in events.all_streams(shards) if name.partition(":")[0] in wanted]


async def records(
    redis_url: str, streams: Sequence[str], *, from_start: bool, verdicts: Sequence[str] = ()
) -> AsyncGenerator[Record]:
    """What is worth showing of each entry, for ever. With `verdicts`, of scans scored so alone."""
    async with contextlib.aclosing(follow(redis_url, streams, from_start=from_start)) as entries:
        async for seen in entries:
            record = record_of(seen)
            if not verdicts or record.get("verdict") in verdicts:
                yield record


def record_of(seen: Seen) -> Record:
    """An entry without what could lead to a person: no hashes, no precise location."""
    kind = seen.stream.partition(":")[0]
    at_ms = int(seen.entry_id.partition("-")[0])
    head = {
        "at": identifiers.rfc3339(identifiers.time_of_ms(at_ms)),
        "stream": seen.stream,
        "entry_id": seen.entry_id,
    }
    try:
        shown = _SHOWN[kind](seen.fields)
    except Rejected as error:
        shown = {"unreadable": str(error)}
    return head | {name: value for name, value in shown.items() if value not in (None, [], "")}


def line_of(record: Record) -> str:
    """A record as one line for a person."""
    said = dict(record)
    at, stream, _ = said.pop("at"), said.pop("stream"), said.pop("entry_id")
    words = [f"{name}={_word(value)}" for name, value in said.items()]
    return f"{at[11:23]:<12} {stream:<12} {' '.join(words)}"


def coloured(line: str, record: Record) -> str:
    """A line of a record with its verdict in colour; the word stands there anyway."""
    colour = _COLOURS.get(record.get("verdict", ""))
    if colour is None:
        return line
    said = f"verdict={record['verdict']}"
    return line.replace(said, click.style(said, fg=colour, bold=True), 1)


def json_of(record: Record) -> str:
    """A record as one line of JSON."""
    return msgspec.json.encode(record).decode()


def _word(value: Any) -> str:
    if isinstance(value, list):
        return visible(",".join(str(item) for item in value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    return (
        repr(text)
        if any(not character.isprintable() or character == " " for character in text)
        else text
    )


def _scan(fields: Mapping[str, bytes]) -> Record:
    return _of_scan(events.decode(fields, Scan))


def _of_scan(scan: Scan) -> Record:
    return {
        "scan_id": str(scan.scan_id),
        "product_id": str(scan.product_id),
        "country": scan.country,
        "automated": scan.automated or None,
        "datacenter": scan.datacenter or None,
    }


def _scored(fields: Mapping[str, bytes]) -> Record:
    scored = events.decode(fields, ScoredScan)
    return {
        "verdict": scored.assessment.verdict,
        "score": scored.assessment.score,
        "reasons": [reason.code for reason in scored.assessment.reasons],
        **_of_scan(scored.scan),
        "sku": scored.product.sku if scored.product else None,
        "scans": scored.history.scans if scored.history else None,
        "answered": scored.answered.assessment.verdict if scored.answered else None,
    }


def _batch(fields: Mapping[str, bytes]) -> Record:
    return {"batch_id": str(events.decode(fields, BatchAccepted).batch_id)}


def _root(fields: Mapping[str, bytes]) -> Record:
    ready = events.decode(fields, RootReady)
    return {"batch_id": str(ready.batch_id), "root": ready.root}


def _notice(fields: Mapping[str, bytes]) -> Record:
    notice = events.decode(fields, Notice)
    return {
        "kind": notice.kind,
        "batch_id": str(notice.batch_id),
        "factory_id": str(notice.factory_id),
    }


_SHOWN = {"scans": _scan, "scored": _scored, "batches": _batch, "roots": _root, "notices": _notice}
