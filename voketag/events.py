"""The wire: stream names, event types, and how they are written into stream entries.

An entry has the fields `v` (the version of its shape), `event` (JSON of one of the types here)
and, for a scan, the state of Redis at the moment it was accepted. JSON, so that whoever tails a
stream can read it. An entry that cannot be decoded is Rejected: it is buried, never skipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar
from uuid import UUID

import msgspec

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

    lat: float
    lon: float


class Product(msgspec.Struct, frozen=True, omit_defaults=True):
    """A product with what its batch says of it: what a scan needs to know, and Redis caches."""

    product_id: UUID
    batch_id: UUID
    factory_id: UUID
    sku: str
    name: str
    serial: str
    manufactured_at: str | None = None
    destination_countries: tuple[str, ...] = ()


class Scan(msgspec.Struct, frozen=True, omit_defaults=True):
    """An accepted scan. Its id and its time were given once, at ingress."""

    scan_id: UUID
    product_id: UUID
    received_at_ms: int
    ip_hash: str
    fingerprint_hash: str
    country: str | None = None
    location: Location | None = None
    automated: bool = False
    datacenter: bool = False
    named: bool = False  # whether the id is the caller's own: Redis remembers it then


class Signals(msgspec.Struct, frozen=True, omit_defaults=True):
    """What Redis knew beside the product's history when a scan was accepted."""

    reporters: int = 0  # distinct addresses that reported this product
    recalled: bool = False
    address_bad_tokens: int = 0  # bad tokens from this address within the last hour
    device_bad_tokens: int = 0


class Reason(msgspec.Struct, frozen=True):
    """One rule that fired: its code, its points and a sentence for a person."""

    code: str
    points: int
    detail: str


class Assessment(msgspec.Struct, frozen=True, omit_defaults=True):
    """What we say of a scan: the verdict, the risk score (None: nothing known) and the reasons."""

    verdict: Verdict
    score: int | None = None
    reasons: tuple[Reason, ...] = ()


class HistorySummary(msgspec.Struct, frozen=True):
    """A product's history as it is told to a person; it counts the scan it belongs to."""

    scans: int
    first_scanned_at_ms: int
    countries: tuple[str, ...]


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a person was told, kept where the record says something else."""

    assessment: Assessment
    history: HistorySummary | None = None


class ScoredScan(msgspec.Struct, frozen=True, omit_defaults=True):
    """A scan with its score of record, ready to be stored."""

    scan: Scan
    assessment: Assessment
    product: Product | None = None
    history: HistorySummary | None = None
    answered: Told | None = None
    first_of_day: bool = False  # the product's first scan on its UTC day


class BatchAccepted(msgspec.Struct, frozen=True):
    """A batch stands in Postgres as pending; its products are to be made."""

    batch_id: UUID


class RootReady(msgspec.Struct, frozen=True):
    """A batch's products are stored; its Merkle root (0x hex) waits for the chain."""

    batch_id: UUID
    root: str


class Notice(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something a factory wants to hear of. The id is derived, so that a repeat is recognised."""

    notice_id: UUID
    factory_id: UUID
    kind: Literal["batch.processing", "batch.completed", "batch.failed", "batch.recalled"]
    batch_id: UUID
    at_ms: int
    detail: dict[str, Any] = {}


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
