"""UUIDv7 (RFC 9562, section 5.7): the ids of everything, and the times that lie in them.

A row's partition is chosen by the time inside its id, so that a replay always lands on itself.
"""

from __future__ import annotations

import functools
import hashlib
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from uuid_utils import uuid7 as _uuid7

UUID7_PATTERN = (
    "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}(?!\\n)$"
)
_UUID7 = re.compile(UUID7_PATTERN)
_VERSION_7 = 0x7 << 76
_VARIANT_RFC = 0x2 << 62
_RANDOM_A = ((1 << 12) - 1) << 64
_RANDOM_B = (1 << 62) - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def new_id() -> UUID:
    """A fresh UUIDv7; ids of one process never go backwards."""
    return UUID(int=_uuid7().int)


def new_text() -> str:
    """A fresh UUIDv7 in its usual hyphenated form."""
    return str(_uuid7())


def at_ms(identifier: UUID) -> int:
    """Milliseconds since the Unix epoch at which a UUIDv7 was made."""
    return identifier.int >> 80


LAST_MS = 253_402_300_799_999
"""The last millisecond of the year 9999, the last that a datetime can say."""


def at_time(identifier: UUID) -> datetime:
    """The time at which a UUIDv7 was made, in UTC, to the millisecond.

    Raises ValueError past LAST_MS, which no id made by a clock is.
    """
    return time_of_ms(at_ms(identifier))


def time_of_ms(unix_ms: int) -> datetime:
    """Milliseconds since the Unix epoch as a UTC time, exactly (no float in between)."""
    if unix_ms > LAST_MS:
        raise ValueError(f"{unix_ms} ms after 1970 lies past the year 9999")
    return _EPOCH + timedelta(milliseconds=unix_ms)


def day_of_ms(unix_ms: int) -> str:
    """The UTC day of a time in milliseconds since the Unix epoch, such as 2026-05-17."""
    return _day(unix_ms // 86_400_000)


@functools.lru_cache(maxsize=64)
def _day(number: int) -> str:
    return time_of_ms(number * 86_400_000).date().isoformat()


def ms_of_time(moment: datetime) -> int:
    """A time as whole milliseconds since the Unix epoch, exactly (no float in between)."""
    return (moment - _EPOCH) // _MS


def is_uuid7(text: str) -> bool:
    """Whether `text` is a UUIDv7 in its usual hyphenated form, in either case."""
    return _UUID7.fullmatch(text) is not None


def product_id(batch_id: UUID, index: int) -> UUID:
    """The id of product number `index` (from 0) of a batch.

    It is a UUIDv7 with the batch's time and bits of SHA-256(batch id, index) in place of random
    ones: a replay makes the same rows, a product lies in its batch's partition, and the number of
    products made cannot be read off a printed code.
    """
    digest = hashlib.sha256(batch_id.bytes + index.to_bytes(4, "big")).digest()
    random = int.from_bytes(digest[:10], "big")
    high = batch_id.int & ~((1 << 80) - 1)
    return UUID(int=high | _VERSION_7 | (random & _RANDOM_A) | _VARIANT_RFC | (random & _RANDOM_B))


def rfc3339(moment: datetime) -> str:
    """A UTC time as RFC 3339 text with a `Z`, fractions only where there are any."""
    text = moment.astimezone(UTC).isoformat()
    return text.replace("+00:00", "Z")
