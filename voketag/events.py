"""The wire: stream names, event types, and how they are written into stream entries.

An entry has the fields `v` (the version of its shape), `event` (JSON of one of the types here)
and, for a scan, the state of Redis at the moment it was accepted. JSON, so that whoever tails a
stream can read it. An entry that cannot be decoded is Rejected: it is buried, never skipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta

from voketag.errors import Rejected

VERSION = b"1"
ROOTS = "roots"
NOTICES = "notices"
DEAD_SUFFIX = ":dead"

Verdict = Literal["authentic", "suspicious", "high_risk", "recalled", "not_recognised"]
Level = Literal["low", "medium", "high"]
ReportReason = Literal["counterfeit", "damaged", "mismatch", "stolen", "other"]


def scans(shard: int) -> str:
    """The stream of accepted scans of one shard; the braces are Redis Cluster's hash tag."""
    return f"scans:{{{shard}}}"


def scored(shard: int) -> str:
    """The stream of scored scans of one shard."""
    return f"scored:{{{shard}}}"


def batches(shard: int) -> str:
    """The stream of accepted batches of one shard."""
    return f"batches:{{{shard}}}"


def shard_of(identifier: UUID, shards: int) -> int:
    """The shard a product or batch always belongs to; its last bits are as good as random."""
    return (identifier.int & 0xFFFFFFFF) % shards


def all_streams(shards: int) -> list[str]:
    """Every stream of the pipeline, dead letters aside."""
    kinds = (scans, scored, batches)
    return [kind(shard) for kind in kinds for shard in range(shards)] + [ROOTS, NOTICES]


class Location(msgspec.Struct, frozen=True):
    """Where a scan was made: WGS 84 degrees."""

    lat: Annotated[float, Meta(description="Degrees north, to a hundredth.")]
    lon: Annotated[float, Meta(description="Degrees east, to a hundredth.")]


class Product(msgspec.Struct, frozen=True, omit_defaults=True):
    """A product with what its batch says of it: what a scan needs to know, and Redis caches."""

    product_id: Annotated[UUID, Meta(description="UUIDv7, derived from its batch.")]
    batch_id: Annotated[UUID, Meta(description="The batch it was made in.")]
    factory_id: Annotated[UUID, Meta(description="The factory that made it.")]
    sku: Annotated[str, Meta(description="The factory's name for this kind.")]
    name: Annotated[str, Meta(description="What a person is shown.")]
    serial: Annotated[str, Meta(description="Unique for factory and SKU.")]
    manufactured_at: Annotated[str | None, Meta(description="RFC 3339, UTC.")] = None
    destination_countries: Annotated[
        tuple[str, ...], Meta(description="ISO 3166-1 alpha-2; none: anywhere.")
    ] = ()


class Scan(msgspec.Struct, frozen=True, omit_defaults=True):
    """An accepted scan. Its id and its time were given once, at ingress."""

    scan_id: Annotated[UUID, Meta(description="UUIDv7; the time in it is the scan's.")]
    product_id: Annotated[UUID, Meta(description="From the token; no batch may hold it.")]
    received_at_ms: Annotated[int, Meta(description="When it was accepted, Unix time.")]
    ip_hash: Annotated[
        str,
        Meta(description="Keyed hash of the address, hexadecimal; the key changes with the month."),
    ]
    fingerprint_hash: Annotated[
        str,
        Meta(description="Keyed hash of the device, hexadecimal; the key changes with the month."),
    ]
    country: Annotated[str | None, Meta(description="ISO 3166-1 alpha-2, where it is known.")] = (
        None
    )
    location: Annotated[Location | None, Meta(description="Where the phone said it was.")] = None
    automated: Annotated[
        bool, Meta(description="Whether a program scanned, by its user agent.")
    ] = False
    datacenter: Annotated[bool, Meta(description="Whether the address is of a data center.")] = (
        False
    )
    named: Annotated[bool, Meta(description="Whether the id is the caller's own.")] = False


class Signals(msgspec.Struct, frozen=True, omit_defaults=True):
    """What Redis knew beside the product's history when a scan was accepted."""

    reporters: Annotated[
        int, Meta(description="Distinct addresses that reported this product.")
    ] = 0
    recalled: Annotated[bool, Meta(description="Whether its batch was recalled.")] = False
    address_bad_tokens: Annotated[
        int, Meta(description="Bad tokens from this address within the last hour.")
    ] = 0
    device_bad_tokens: Annotated[
        int, Meta(description="Bad tokens from this device within the last hour.")
    ] = 0


class Reason(msgspec.Struct, frozen=True):
    """One rule that fired: its code, its points and a sentence for a person."""

    code: Annotated[str, Meta(description="Which rule; docs/risk.md has them all.")]
    points: Annotated[int, Meta(description="What it adds to the score.")]
    detail: Annotated[str, Meta(description="A sentence for a person.")]


class Assessment(msgspec.Struct, frozen=True, omit_defaults=True):
    """What we say of a scan: the verdict, the risk score (None: nothing known) and the reasons."""

    verdict: Annotated[Verdict, Meta(description="What is said of the scan.")]
    score: Annotated[
        int | None, Meta(description="0 to 100; none where the product is unknown.")
    ] = None
    reasons: Annotated[tuple[Reason, ...], Meta(description="The rules that fired.")] = ()


class HistorySummary(msgspec.Struct, frozen=True):
    """A product's history as it is told to a person; it counts the scan it belongs to."""

    scans: Annotated[int, Meta(description="How many there were.")]
    first_scanned_at_ms: Annotated[int, Meta(description="When the first was made, Unix time.")]
    countries: Annotated[
        tuple[str, ...], Meta(description="ISO 3166-1 alpha-2, in order of first appearance.")
    ]


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a person was told, kept where the record says something else."""

    assessment: Annotated[Assessment, Meta(description="The answer of that moment.")]
    history: Annotated[
        HistorySummary | None, Meta(description="The product's history as it was told.")
    ] = None


class ScoredScan(msgspec.Struct, frozen=True, omit_defaults=True):
    """A scan with its score of record, ready to be stored."""

    scan: Annotated[Scan, Meta(description="The scan as it was accepted.")]
    assessment: Annotated[Assessment, Meta(description="The score of record.")]
    product: Annotated[Product | None, Meta(description="None where no batch holds it.")] = None
    history: Annotated[HistorySummary | None, Meta(description="With this scan counted.")] = None
    answered: Annotated[
        Told | None, Meta(description="What the person was told, where that was something else.")
    ] = None
    first_of_day: Annotated[
        bool, Meta(description="Whether it is the product's first on its UTC day.")
    ] = False


class BatchAccepted(msgspec.Struct, frozen=True):
    """A batch stands in Postgres as pending; its products are to be made."""

    batch_id: Annotated[UUID, Meta(description="UUIDv7.")]


class RootReady(msgspec.Struct, frozen=True):
    """A batch's products are stored; its Merkle root (0x hex) waits for the chain."""

    batch_id: Annotated[UUID, Meta(description="UUIDv7.")]
    root: Annotated[str, Meta(description="The Merkle root, 0x and 64 hexadecimal digits.")]


class Notice(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something a factory wants to hear of. The id is derived, so that a repeat is recognised."""

    notice_id: Annotated[
        UUID, Meta(description="UUIDv7, derived from batch and kind: a repeat has the same.")
    ]
    factory_id: Annotated[UUID, Meta(description="Whose it is.")]
    kind: Annotated[
        Literal["batch.processing", "batch.completed", "batch.failed", "batch.recalled"],
        Meta(description="What became of the batch."),
    ]
    batch_id: Annotated[UUID, Meta(description="The batch.")]
    at_ms: Annotated[int, Meta(description="When, Unix time.")]
    detail: Annotated[dict[str, Any], Meta(description="More, by kind; fields may be added.")] = {}


Event = TypeVar("Event", bound=msgspec.Struct)
Value = TypeVar("Value")
_encoder = msgspec.json.Encoder()
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def encode(event: msgspec.Struct) -> dict[str, bytes]:
    """The fields of a stream entry that carries `event`."""
    return {"v": VERSION, "event": _encoder.encode(event)}


def to_json(event: Any) -> bytes:
    """Any wire value as JSON."""
    return _encoder.encode(event)


def decode(fields: Mapping[str, bytes], kind: type[Event]) -> Event:
    """The event of a stream entry. Raises Rejected for another version or shape."""
    version = fields.get("v")
    if version != VERSION:
        raise Rejected(f"entry version {version!r}; this program reads {VERSION!r}")
    return decode_json(fields.get("event", b""), kind)


def decode_json(data: bytes, kind: type[Value]) -> Value:
    """A wire value from JSON. Raises Rejected where it has another shape."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        value: Value = decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Rejected(f"not a {kind.__name__}: {error}") from error
    except RecursionError as error:
        raise Rejected(f"not a {kind.__name__}: nested too deeply") from error
    return value
