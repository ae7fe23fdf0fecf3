"""Ids and keys of the Python peers."""

from __future__ import annotations

import os
import time

from asyncpg.pgproto.pgproto import UUID

from voketag.tokens import KeyRing, TokenKey

_RANDOM_BYTES = 10


def uuid7s(count: int) -> list[UUID]:
    """New UUIDv7s (RFC 9562), all of this millisecond, so that rows land at the end of an index.

    They are of asyncpg's own type, which it need not convert.
    """
    head = (time.time_ns() // 1_000_000).to_bytes(6, "big")
    random = os.urandom(_RANDOM_BYTES * count)
    ids = []
    for at in range(0, len(random), _RANDOM_BYTES):
        version, variant = random[at] & 0x0F | 0x70, random[at + 2] & 0x3F | 0x80
        tail = random[at + 3 : at + _RANDOM_BYTES]
        ids.append(UUID(head + bytes((version, random[at + 1], variant)) + tail))
    return ids


def read_keys(text: str) -> KeyRing:
    """The token keys of `id:hex,id:hex`. Raises ValueError for anything else."""
    pairs = [item.strip().partition(":") for item in text.split(",")]
    return KeyRing(tuple(TokenKey(int(key_id), bytes.fromhex(key)) for key_id, _, key in pairs))
