"""The AsyncAPI 3.0 document of the streams, made from the event types: for whoever reads Redis
directly, beside the groups that do the work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from voketag.events import (
    DEAD_SUFFIX,
    NOTICES,
    ROOTS,
    VERSION,
    BatchAccepted,
    Notice,
    Product,
    RootReady,
    Scan,
    ScoredScan,
    Signals,
)

_REFERENCE = "#/components/schemas/{name}"
SHARD = "{shard}"
# The fields of an entry beside `v` and `event`: what intake.lua writes, and what burying adds.
SCAN_FIELDS: Mapping[str, str] = {
    "product": "JSON of a Product; empty where no batch holds it.",
    "history": "The product's history as the score group had stored it, as JSON; empty: none. Its "
    "shape is our own and changes without notice.",
    "tail": "Scans accepted since, as JSON; empty: none. Its shape is our own as well.",
    "signals": "JSON of Signals; empty: none of them.",
}
DEAD_FIELDS: Mapping[str, str] = {
    "dead_id": "The id that the entry had in its stream.",
    "dead_group": "The group that gave it up.",
    "dead_error": "Why.",
    "dead_attempts": "How often it was tried.",
}


@dataclass(frozen=True)
class Stream:
    """A kind of stream. `sharded`: there is one for each shard."""

    name: str
    event: type[msgspec.Struct]
    said: str
    sharded: bool = True
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Its key in Redis; `{shard}` stands for the number of a shard in braces."""
        return f"{self.name}:{SHARD}" if self.sharded else self.name


STREAMS = (
    Stream("scans", Scan, "Accepted scans, in the order of acceptance.", fields=SCAN_FIELDS),
    Stream("scored", ScoredScan, "Scans with their score of record, in order per product."),
    Stream("batches", BatchAccepted, "Accepted batches, whose products are to be made."),
    Stream(ROOTS, RootReady, "Merkle roots of stored batches, for the chain.", sharded=False),
    Stream(NOTICES, Notice, "What became of batches, for their factories.", sharded=False),
)


def document() -> dict[str, Any]:
    """The document, as JSON-ready data."""
    types = [*(stream.event for stream in STREAMS), Product, Signals]
    _, schemas = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    channels, messages, operations = {}, {}, {}
    for stream in STREAMS:
        for dead in (False, True):
            name = f"{stream.name}Dead" if dead else stream.name
            message = f"{stream.event.__name__}Dead" if dead else stream.event.__name__
            channels[name] = _channel(stream, message, dead=dead)
            messages[message] = _message(stream, dead=dead)
            operations[f"{'bury' if dead else 'publish'}_{stream.name}"] = {
                "action": "send",
                "channel": {"$ref": f"#/channels/{name}"},
                "summary": "An entry that no attempt could process." if dead else stream.said,
            }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "VokeTag streams",
            "version": VERSION.decode(),
            "description": "Redis Streams as VokeTag writes them; docs/streams.md says what may be "
            "relied on. `version` is that of the entries, their field `v`.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "redis": {
                "host": "localhost:6379",
                "protocol": "redis",
                "description": "The Redis of VOKETAG_REDIS_URL.",
            }
        },
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    }


def _channel(stream: Stream, message: str, *, dead: bool) -> dict[str, Any]:
    said = f"Dead letters of: {stream.said}" if dead else stream.said
    channel: dict[str, Any] = {
        "address": stream.address + (DEAD_SUFFIX if dead else ""),
        "description": said,
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
    }
    if stream.sharded:
        channel["parameters"] = {
            "shard": {
                "description": "A number from 0 to below VOKETAG_SHARDS, in braces: the hash tag "
                "of Redis Cluster is part of the key.",
                "examples": ["{0}", "{1}"],
            }
        }
    return channel


def _message(stream: Stream, *, dead: bool) -> dict[str, Any]:
    """An entry: its field `event` is the payload, the others stand as headers."""
    version = {"type": "string", "const": VERSION.decode(), "description": "Of the entry's shape."}
    fields = {**stream.fields, **(DEAD_FIELDS if dead else {})}
    told = {name: {"type": "string", "description": said} for name, said in fields.items()}
    message: dict[str, Any] = {
        "name": stream.event.__name__,
        "title": "Dead letter: " + stream.said if dead else stream.said,
        "description": "`payload` is the JSON in the entry's field `event`, `headers` are the "
        "entry's other fields."
        + (" A dead letter has the bytes it had: they may be no such event." if dead else ""),
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "properties": {"v": version, **told},
            "required": list(DEAD_FIELDS) if dead else ["v", *fields],
        },
        "payload": {"$ref": _REFERENCE.format(name=stream.event.__name__)},
    }
    if dead:
        message["headers"]["properties"]["v"] = {**version}
        del message["headers"]["properties"]["v"]["const"]
    return message


def as_json() -> bytes:
    """The document as a file: what docs/asyncapi.json holds."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=2) + b"\n"
