"""Keys of factories (`vt_`) and operators (`vto_`), tokens of sessions (`vts_`): mint, parse, hash.
No key is ever stored, only its SHA-256.

A key is its scheme, 32 random characters of Crockford base32 (160 bits) and 6 more that check the
rest (the low 30 bits of its CRC-32): a mistyped or invented key is refused without asking Postgres,
and secret scanners can tell a real one from a look-alike. A plain SHA-256 is enough for a secret of
160 random bits; a slow password hash would only make each request slow.
"""

from __future__ import annotations

import hashlib
import secrets
import zlib

from voketag.tokens import ALPHABET, encode_base32

FACTORY, OPERATOR, SESSION = "vt_", "vto_", "vts_"
RANDOM_BYTES = 20
CHECK_CHARACTERS = 6
BODY_CHARACTERS = RANDOM_BYTES * 8 // 5 + CHECK_CHARACTERS
PREFIX_CHARACTERS = 11
_LETTERS = frozenset(ALPHABET)


def mint(scheme: str = FACTORY) -> str:
    """A fresh key."""
    body = scheme + encode_base32(secrets.token_bytes(RANDOM_BYTES))
    return body + _check(body)


def parse(text: str, scheme: str = FACTORY) -> str | None:
    """A key in the one spelling that is hashed, or None for what was never minted.

    Either case is accepted, and nothing else: keys are copied, not typed.
    """
    if len(text) != len(scheme) + BODY_CHARACTERS or not text.isascii():
        return None
    body = scheme + text[len(scheme) :].upper()
    if text[: len(scheme)].lower() != scheme or not _LETTERS.issuperset(body[len(scheme) :]):
        return None
    return body if _check(body[:-CHECK_CHARACTERS]) == body[-CHECK_CHARACTERS:] else None


def digest(key: str) -> bytes:
    """What is stored of a key that `mint` or `parse` gave: its SHA-256, 32 bytes."""
    return hashlib.sha256(key.encode("ascii")).digest()


def prefix(key: str) -> str:
    """What may be shown of a key, to tell it from others; at least 120 bits of it stay secret."""
    return key[:PREFIX_CHARACTERS]


def _check(body: str) -> str:
    number = zlib.crc32(body.encode("ascii"))
    shifts = range((CHECK_CHARACTERS - 1) * 5, -1, -5)
    return "".join(ALPHABET[(number >> shift) & 31] for shift in shifts)
