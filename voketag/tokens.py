"""Tokens: what is printed on the product. Mint, parse, verify.

A token is 29 bytes in uppercase Crockford base32 without padding (47 characters, QR alphanumeric
mode): one byte key id, the 16-byte product id, and HMAC-SHA256 (RFC 2104) over a domain label,
key id and product id, truncated to 96 bits (RFC 2104, section 5). Checking one is CPU only.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from uuid import UUID

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base32: no I, L, O, U
KEY_MIN_BYTES = 16
MAC_BYTES = 12
TOKEN_BYTES = 1 + 16 + MAC_BYTES
TOKEN_CHARACTERS = (TOKEN_BYTES * 8 + 4) // 5
TOKEN_MAX_CHARACTERS = 64
_DOMAIN = b"voketag-token-v1\x00"
# Well formed and signed by nobody: what an example may show.
EXAMPLE_TOKEN = "000SKJ7HDW07MJWX7SFHRAVTHT89Y71D7S55PV3XHTFGM6R"
_SPARE_BITS = TOKEN_CHARACTERS * 5 - TOKEN_BYTES * 8

# Crockford's base32 has the digit order of int(text, 32) but other letters, so that one
# translation and one int() decode a token at C speed. What is not in the alphabet becomes "!",
# which int() refuses.
_TO_INT32 = dict.fromkeys(range(256), "!")
for _value, _character in enumerate(ALPHABET):
    _digit = "0123456789abcdefghijklmnopqrstuv"[_value]
    _TO_INT32[ord(_character)] = _digit
    _TO_INT32[ord(_character.lower())] = _digit
for _typed, _meant in {"O": "0", "I": "1", "L": "1"}.items():
    _TO_INT32[ord(_typed)] = _meant
    _TO_INT32[ord(_typed.lower())] = _meant


def encode_base32(data: bytes) -> str:
    """`data` in uppercase Crockford base32, the spare low bits of the last character zero."""
    characters = (len(data) * 8 + 4) // 5
    number = int.from_bytes(data, "big") << (characters * 5 - len(data) * 8)
    digits = [ALPHABET[(number >> shift) & 31] for shift in range((characters - 1) * 5, -1, -5)]
    return "".join(digits)


@dataclass(frozen=True, slots=True)
class TokenKey:
    """One signing key: its id (0-255, part of every token) and its secret bytes."""

    key_id: int
    secret: bytes


class KeyRing:
    """The keys a token may be signed with: the first signs, all verify.

    Raises ValueError for no key, ids given twice or outside 0-255, or a secret of under 16 bytes.
    """

    def __init__(self, keys: tuple[TokenKey, ...]) -> None:
        if not keys:
            raise ValueError("at least one token key is needed")
        if len({key.key_id for key in keys}) != len(keys):
            raise ValueError("each token key needs an id of its own")
        for key in keys:
            if not 0 <= key.key_id <= 255:
                raise ValueError("a token key's id is a number from 0 to 255")
            if len(key.secret) < KEY_MIN_BYTES:
                raise ValueError(f"a token key has at least {KEY_MIN_BYTES} bytes")
        self.signing = keys[0]
        self._secrets = {key.key_id: key.secret for key in keys}

    def holds(self, key_id: int) -> bool:
        """Whether tokens signed with this key id can be made and verified."""
        return key_id in self._secrets

    def mint(self, product_id: UUID, key_id: int | None = None) -> str:
        """The token of a product, signed with `key_id` or else with the signing key.

        The same product and key always give the same token. Raises KeyError for a key id that is
        not in the ring.
        """
        chosen = self.signing.key_id if key_id is None else key_id
        body = bytes((chosen,)) + product_id.bytes
        return encode_base32(body + _mac(self._secrets[chosen], body))

    def verify(self, token: str) -> UUID | None:
        """The product id inside a token we signed, or None for anything else.

        Lower case is accepted, and O, I, L typed for 0, 1, 1. The comparison takes the same time
        wherever the signatures differ.
        """
        raw = _decode(token)
        if raw is None:
            return None
        body = raw[:17]
        secret = self._secrets.get(raw[0])
        if secret is None or not hmac.compare_digest(_mac(secret, body), raw[17:]):
            return None
        return UUID(bytes=body[1:])


def _mac(secret: bytes, body: bytes) -> bytes:
    return hmac.digest(secret, _DOMAIN + body, "sha256")[:MAC_BYTES]


def _decode(token: str) -> bytes | None:
    """The 29 bytes of a token's text, None where it has another length, letter or spare bits."""
    if len(token) != TOKEN_CHARACTERS or not token.isascii():
        return None
    try:
        number = int(token.translate(_TO_INT32), 32)
    except ValueError:
        return None
    if number & ((1 << _SPARE_BITS) - 1):
        return None  # one product and key have exactly one token
    return (number >> _SPARE_BITS).to_bytes(TOKEN_BYTES, "big")
