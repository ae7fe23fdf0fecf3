"""The products of a batch: ids, tokens, serials and the Merkle root over them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass

import sha3
from asyncpg.pgproto.pgproto import UUID

from benchmarks.peers.identifiers import uuid7s
from voketag.tokens import ALPHABET, MAC_BYTES, TokenKey

VERIFICATION_URL = "https://app.voketag.com/r/"
_RFC4648 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_TO_CROCKFORD = bytes.maketrans(_RFC4648.encode(), ALPHABET.encode())
_DOMAIN = b"voketag-token-v1\x00"
_PADDING = bytes(16)
_SERIAL_CHARACTERS = 16

Row = tuple[UUID, UUID, str, str, str]
COLUMNS = ("id", "batch_id", "token", "verification_url", "serial")


@dataclass(frozen=True, slots=True)
class Made:
    """What is stored of a batch: the rows of its products, and the root (32 bytes)."""

    rows: list[Row]
    root: bytes


def make(batch_id: UUID, sku: str, count: int, key: TokenKey) -> Made:
    """`count` new products."""
    key_id, secret = bytes((key.key_id,)), key.secret
    head = f'{{"batch_id":"{batch_id}","product_id":"'
    tail = f'","sku":{json.dumps(sku)}}}'
    keccak, sha256, digest = sha3.keccak_256, hashlib.sha256, hmac.digest
    rows: list[Row] = []
    leaves: list[bytes] = []
    for product_id in uuid7s(count):
        raw = product_id.bytes
        body = key_id + raw
        signed = body + digest(secret, _DOMAIN + body, "sha256")[:MAC_BYTES]
        token = base64.b32encode(signed).translate(_TO_CROCKFORD, b"=").decode()
        serial = token[-_SERIAL_CHARACTERS:]
        rows.append((product_id, batch_id, token, VERIFICATION_URL + token, serial))
        content = f'{head}{product_id}","serial":"{serial}{tail}'
        inner = keccak(raw + _PADDING + sha256(content.encode()).digest()).digest()
        leaves.append(keccak(inner).digest())
    return Made(rows, root_of(leaves))


def root_of(leaves: list[bytes]) -> bytes:
    """The root of OpenZeppelin's standard tree over 32-byte leaves; see voketag/merkle.py."""
    keccak = sha3.keccak_256
    nodes = [b""] * (len(leaves) - 1) + sorted(leaves, reverse=True)
    for parent in range(len(leaves) - 2, -1, -1):
        left, right = nodes[2 * parent + 1], nodes[2 * parent + 2]
        nodes[parent] = keccak(left + right if left <= right else right + left).digest()
    return nodes[0]
