"""What an ERP sends to make or recall a batch: the types, and the checks that types cannot say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Annotated, Any, cast

import msgspec
from msgspec import UNSET, Meta, UnsetType

from voketag.errors import InvalidField
from voketag.printable import PRINTABLE_PATTERN, is_printable
from voketag.risk.countries import COUNTRIES, is_country

PRODUCTS_MAX = 1_000_000
BODY_MAX_BYTES = 32 * 1024 * 1024
ATTRIBUTES_MAX_BYTES = 16 * 1024
ATTRIBUTES_MAX_DEPTH = 32
NAMED_MAX = 5  # of what is wrong with a list, so many items are named
MANUFACTURED_MAX_AHEAD = timedelta(days=1)
_SERIALS_AT_ONCE = 10_000
_WHOLE_NUMBER_LEAST, _WHOLE_NUMBER_MOST = -(2**63), 2**64 - 1

# Printable ASCII, which holds the characters of a GS1 serial, AI (21). It also keeps a million
# serials small: one wide letter makes a whole text four bytes a character.
_NOT_SERIAL = re.compile(r"[^\x20-\x7e]")
_SERIAL = {"pattern": r"^[\u0020-\u007e]*(?!\n)$"}
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_PRINTABLE = {"pattern": PRINTABLE_PATTERN}
_MOMENT = {"anyOf": [{"format": "date-time"}, {"format": "date"}]}

Sku = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        description="Your own name for this kind of product.",
        examples=["SHOE-42"],
        extra_json_schema=_PRINTABLE,
    ),
]
Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        description="What a person who scans it is shown.",
        examples=["Running shoe"],
        extra_json_schema=_PRINTABLE,
    ),
]
Serial = Annotated[str, Meta(min_length=1, max_length=64, extra_json_schema=_SERIAL)]
Reason = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=500,
        description="One line, for the factory's own records.",
        examples=["The glue of this batch does not hold."],
        extra_json_schema=_PRINTABLE,
    ),
]
Country = Annotated[str, Meta(extra_json_schema={"enum": sorted(COUNTRIES)})]


class NewBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /v1/batches; of `product_count` and `serials` exactly one is given."""

    sku: Sku
    name: Name
    product_count: (
        Annotated[int, Meta(ge=1, le=PRODUCTS_MAX, description="Serials are made then.")]
        | UnsetType
    ) = UNSET
    serials: (
        Annotated[
            list[Serial],
            Meta(
                min_length=1,
                max_length=PRODUCTS_MAX,
                description="Unique for a factory and SKU.",
                extra_json_schema={"uniqueItems": True},
            ),
        ]
        | UnsetType
    ) = UNSET
    manufactured_at: (
        Annotated[
            str,
            Meta(
                description="RFC 3339 with an offset, or a date, which means midnight UTC.",
                extra_json_schema=_MOMENT,
            ),
        ]
        | None
    ) = None
    destination_countries: Annotated[
        tuple[Country, ...],
        Meta(max_length=len(COUNTRIES), description="ISO 3166-1 alpha-2; empty: anywhere."),
    ] = ()
    attributes: (
        Annotated[dict[str, Any], Meta(description="Up to 16 KiB of JSON, kept as it is.")] | None
    ) = None


NewBatchBody = Annotated[
    NewBatch,
    Meta(extra_json_schema={"oneOf": [{"required": ["product_count"]}, {"required": ["serials"]}]}),
]


class Recall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /v1/batches/{id}/recall."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class CheckedBatch:
    """A batch that may be stored."""

    sku: str
    name: str
    product_count: int
    serials: Sequence[str] | None
    manufactured_at: datetime | None
    destination_countries: tuple[str, ...]
    attributes: dict[str, Any] | None


def check(new: NewBatch, now: datetime) -> CheckedBatch:
    """A request of the right shape as a batch that may be stored. Raises InvalidField.

    Whether a serial stands in it twice is left to the table's key, which has to look anyway; see
    `duplicates`.
    """
    _check_printable("sku", new.sku)
    _check_printable("name", new.name)
    if isinstance(new.serials, UnsetType) == isinstance(new.product_count, UnsetType):
        raise InvalidField("product_count", "Exactly one of product_count and serials is needed.")
    serials = None if isinstance(new.serials, UnsetType) else new.serials
    if serials is not None:
        _check_serials(serials)
    for code in new.destination_countries:
        if not is_country(code):
            raise InvalidField(
                "destination_countries",
                f"{code[:8]!r} is not an ISO 3166-1 alpha-2 code in upper case, such as BR.",
            )
    if new.attributes is not None:
        _check_attributes(new.attributes)
    return CheckedBatch(
        sku=new.sku,
        name=new.name,
        product_count=len(serials) if serials is not None else int(new.product_count or 0),
        serials=serials,
        manufactured_at=_manufactured_at(new.manufactured_at, now),
        destination_countries=tuple(dict.fromkeys(new.destination_countries)),
        attributes=new.attributes,
    )


def check_reason(recall: Recall) -> str:
    """The reason of a recall. Raises InvalidField for control characters."""
    _check_printable("reason", recall.reason)
    return recall.reason


def duplicates(serials: Sequence[str]) -> list[str]:
    """Up to NAMED_MAX serials that stand in the list more than once."""
    # Sorted, because a set of a million would take more room than the request itself.
    found: dict[str, None] = {}
    for serial, following in pairwise(sorted(serials)):
        if serial == following:
            found[serial] = None
            if len(found) == NAMED_MAX:
                break
    return list(found)


def check_idempotency_key(value: str | None) -> str | None:
    """The header Idempotency-Key, None where there is none. Raises InvalidField."""
    if value is not None and not _IDEMPOTENCY_KEY.fullmatch(value):
        raise InvalidField(
            "Idempotency-Key", "Idempotency-Key has 1 to 255 visible ASCII characters."
        )
    return value


def _check_printable(field: str, text: str) -> None:
    if not is_printable(text):
        raise InvalidField(field, f"{field} holds a control character; printable text is accepted.")


def _check_serials(serials: Sequence[str]) -> None:
    for start in range(0, len(serials), _SERIALS_AT_ONCE):
        part = serials[start : start + _SERIALS_AT_ONCE]
        if not _NOT_SERIAL.search("".join(part)):
            continue
        index = next(n for n, serial in enumerate(part) if _NOT_SERIAL.search(serial))
        raise InvalidField(
            "serials", f"serials[{start + index}] is not printable ASCII, which is accepted."
        )


def _manufactured_at(text: str | None, now: datetime) -> datetime | None:
    """The time of manufacture in UTC; a plain date is its midnight."""
    if text is None:
        return None
    try:
        moment = datetime.combine(msgspec.convert(text, date), time(), UTC)
    except msgspec.ValidationError:
        try:
            moment = utc(text)
        except ValueError:
            raise InvalidField(
                "manufactured_at",
                "manufactured_at is RFC 3339 with an offset, such as 2026-01-31T08:00:00Z, "
                "or a date.",
            ) from None
    if moment > now + MANUFACTURED_MAX_AHEAD:
        raise InvalidField("manufactured_at", "manufactured_at is at most one day ahead.")
    return moment


def utc(text: str) -> datetime:
    """RFC 3339 with an offset as UTC. Raises ValueError."""
    try:
        moment = msgspec.convert(text, Annotated[datetime, Meta(tz=True)])
        return cast(datetime, moment).astimezone(UTC)
    except OverflowError as error:  # before the year 1 or after 9999, once in UTC
        raise ValueError(str(error)) from error


def _check_attributes(attributes: dict[str, Any]) -> None:
    problem = _not_storable(attributes, 1)
    if problem is not None:
        raise InvalidField("attributes", f"attributes {problem}.")
    if len(msgspec.json.encode(attributes)) > ATTRIBUTES_MAX_BYTES:
        raise InvalidField(
            "attributes", f"attributes have at most {ATTRIBUTES_MAX_BYTES} bytes of JSON."
        )


def _not_storable(value: Any, depth: int) -> str | None:
    """Why a JSON value cannot be stored as it is, None where it can."""
    if isinstance(value, str):
        return "hold a NUL character, which cannot be stored" if "\x00" in value else None
    if isinstance(value, int) and not _WHOLE_NUMBER_LEAST <= value <= _WHOLE_NUMBER_MOST:
        return "hold a whole number of more than 64 bits"
    if not isinstance(value, dict | list):
        return None
    if depth > ATTRIBUTES_MAX_DEPTH:
        return f"are nested more than {ATTRIBUTES_MAX_DEPTH} levels deep"
    items = [*value.keys(), *value.values()] if isinstance(value, dict) else value
    for item in items:
        problem = _not_storable(item, depth + 1)
        if problem is not None:
            return problem
    return None
