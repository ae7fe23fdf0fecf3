"""What an administrator sends and is answered: factories and their keys, streams, statistics."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from voketag.moments import Moment

EXAMPLE_KEY = "vt_made-up_key_that_no_factory_has"
ApiKey = Annotated[
    str,
    Meta(description="Shown this once; only its hash is kept.", examples=[EXAMPLE_KEY]),
]


class NewFactoryAnswer(msgspec.Struct, frozen=True):
    """A factory was made; its key is shown this once."""

    factory_id: UUID
    api_key: ApiKey


class NewKeyAnswer(msgspec.Struct, frozen=True):
    """A key was made; it is shown this once."""

    key_id: UUID
    api_key: ApiKey
    expires_at: Moment | None


class Key(msgspec.Struct, frozen=True):
    """What is known of a key: its first characters, and since and until when it is valid."""

    key_id: UUID
    prefix: Annotated[str, Meta(examples=["vt_made-up"])]
    created_at: Moment
    expires_at: Moment | None
    revoked_at: Moment | None


class Factory(msgspec.Struct, frozen=True):
    """A factory and its keys, the oldest first. A viewer is not told its e-mail address."""

    factory_id: UUID
    name: Annotated[str, Meta(examples=["Acme Shoes"])]
    email: Annotated[str | None, Meta(examples=["erp@acme.example"])]
    created_at: Moment
    keys: tuple[Key, ...]


class FactoryPage(msgspec.Struct, frozen=True):
    """Some factories, the oldest first, and the cursor of the page after them."""

    factories: tuple[Factory, ...]
    next_cursor: str | None


class Group(msgspec.Struct, frozen=True):
    """A group of a stream. `lag` is null where Redis does not know it; `oldest_unacked_s` is the
    age of the oldest entry not acknowledged, 0 where there is none; `registered` is false for a
    group that is none of ours.
    """

    group: Annotated[str, Meta(examples=["score"])]
    registered: Annotated[bool, Meta(examples=[True])]
    lag: Annotated[int | None, Meta(examples=[0])]
    pending: int
    oldest_unacked_s: float
    consumers: Annotated[int, Meta(examples=[1])]


class Stream(msgspec.Struct, frozen=True):
    """A stream: its entries, its dead letters, its groups."""

    stream: Annotated[str, Meta(examples=["scans:{0}"])]
    length: int
    dead: int
    groups: tuple[Group, ...]


class StreamsAnswer(msgspec.Struct, frozen=True):
    """Every stream of the pipeline."""

    streams: tuple[Stream, ...]


class Day(msgspec.Struct, frozen=True):
    """The stored scans of one UTC day, of all factories or of one.

    `avg_risk_score` is over the scans of known products, null where there were none.
    """

    day: date
    scans: int
    unique_products: int
    avg_risk_score: float | None
    authentic: int
    suspicious: int
    high_risk: int
    recalled: int
    not_recognised: int


class Today(msgspec.Struct, frozen=True):
    """The UTC day so far: the scans accepted, and of those the ones that are stored."""

    day: date
    scans: int
    stored: Day


class TopProduct(msgspec.Struct, frozen=True):
    """One of today's most scanned products; SKU and name are null where it is not stored."""

    product_id: UUID
    scans: int
    sku: str | None
    name: str | None


class StatsAnswer(msgspec.Struct, frozen=True):
    """Today, the last 30 UTC days with today as the first, and today's most scanned products."""

    today: Today
    days: tuple[Day, ...]
    top_products: tuple[TopProduct, ...]
