"""The products of a batch, derived from its id: ids, serials and Merkle leaves, a chunk at a time.

Everything follows from what the batch's row says, so that a replay makes the same products. This
is the one place where work is done per product, so the bytes of `identifiers.product_id` and of
`proofs.Content.canonical` are put together here without their objects; tests hold them equal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec
import sha3

from voketag.tokens import ALPHABET

DERIVED_SERIAL_CHARACTERS = 15  # GS1 allows 20 in AI (21)
_VERSION_AND_VARIANT = 0x7 << 76 | 0x2 << 62
_RANDOM_A = ((1 << 12) - 1) << 64
_RANDOM_B = (1 << 62) - 1
_BYTES16_PADDING = bytes(16)
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Chunk:
    """Products of one batch in the order of their index."""

    product_ids: list[bytes]
    serials: Sequence[str]
    leaves: list[bytes]


class Maker:
    """Derives the products of one batch. `manufactured_at` is RFC 3339 text, as proofs show it."""

    def __init__(
        self, batch_id: UUID, factory_id: UUID, sku: str, manufactured_at: str | None
    ) -> None:
        self._batch = batch_id.bytes
        self._fixed = batch_id.int >> 80 << 80 | _VERSION_AND_VARIANT
        head = {
            "batch_id": str(batch_id),
            "factory_id": str(factory_id),
            "manufactured_at": manufactured_at,
        }
        self._head = _encode(head).decode()[:-1] + ',"product_id":"'
        self._tail = ',"sku":' + _encode(sku).decode() + "}"
        self._letters = [first + second for first in ALPHABET for second in ALPHABET]

    def chunk(self, start: int, stop: int, serials: Sequence[str] | None = None) -> Chunk:
        """Products number `start` (from 0) up to `stop`, with the serials given or derived ones."""
        numbers = [self._random_bits(index) for index in range(start, stop)]
        product_ids = [(self._fixed | number).to_bytes(16, "big") for number in numbers]
        if serials is None:
            serials = [self._serial(number) for number in numbers]
        leaves = list(map(self._leaf, product_ids, map(_encode, serials)))
        return Chunk(product_ids, serials, leaves)

    def _random_bits(self, index: int) -> int:
        digest = hashlib.sha256(self._batch + index.to_bytes(4, "big")).digest()
        return int.from_bytes(digest[:10], "big") & (_RANDOM_A | _RANDOM_B)

    def _serial(self, number: int) -> str:
        """The 74 random bits of a product id in Crockford base32."""
        bits = (number >> 64) << 62 | (number & _RANDOM_B)
        two = self._letters
        return (
            ALPHABET[bits >> 70]
            + two[bits >> 60 & 1023]
            + two[bits >> 50 & 1023]
            + two[bits >> 40 & 1023]
            + two[bits >> 30 & 1023]
            + two[bits >> 20 & 1023]
            + two[bits >> 10 & 1023]
            + two[bits & 1023]
        )

    def _leaf(self, product_id: bytes, serial_json: bytes) -> bytes:
        """What `proofs.Content.leaf` gives for this product."""
        text = product_id.hex()
        content = (
            f"{self._head}{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
            f'","serial":{serial_json.decode()}{self._tail}'
        )
        digest = hashlib.sha256(content.encode()).digest()
        inner = sha3.keccak_256(product_id + _BYTES16_PADDING + digest).digest()
        leaf: bytes = sha3.keccak_256(inner).digest()
        return leaf


def product_of_serial(batch_id: UUID, serial: str) -> UUID | None:
    """The product of a batch that has this derived serial, whether it was made or not; None for
    what no derived serial looks like.
    """
    if len(serial) != DERIVED_SERIAL_CHARACTERS or not set(serial) <= set(ALPHABET):
        return None
    bits = 0
    for letter in serial:
        bits = bits << 5 | ALPHABET.index(letter)
    if bits >> 74:
        return None
    fixed = batch_id.int >> 80 << 80 | _VERSION_AND_VARIANT
    return UUID(int=fixed | bits >> 62 << 64 | bits & _RANDOM_B)
