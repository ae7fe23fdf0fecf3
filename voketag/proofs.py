"""The portable proof of a product's origin: its content, its leaf, and the bundle that is handed
out. Everything here can be checked by someone who trusts neither the factory nor us.
"""

from __future__ import annotations

import hashlib
from itertools import accumulate
from uuid import UUID

import msgspec

from voketag.merkle import hash_pair, keccak256, root_of_path

FORMAT = "voketag-proof-v1"
_canonical = msgspec.json.Encoder(order="sorted")


class Content(msgspec.Struct, frozen=True):
    """What a proof says of a product; its canonical JSON is what the leaf commits to."""

    batch_id: str
    factory_id: str
    manufactured_at: str | None
    product_id: str
    serial: str
    sku: str

    def canonical(self) -> bytes:
        """RFC 8785 canonical JSON.

        The members are strings and null only, for which sorted keys, no white space and minimal
        escapes are all that RFC 8785 asks.
        """
        return _canonical.encode(self)

    def leaf(self) -> bytes:
        """The leaf of this content in its batch's tree."""
        return leaf(UUID(self.product_id), hashlib.sha256(self.canonical()).digest())


def leaf(product_id: UUID, content_sha256: bytes) -> bytes:
    """OpenZeppelin `standard-v1` leaf of `["bytes16", "bytes32"]`: keccak256 of keccak256 of the
    ABI encoding, in which a bytes16 is padded with zeros on its right.
    """
    return keccak256(keccak256(product_id.bytes + bytes(16) + content_sha256))


class Proof(msgspec.Struct, frozen=True):
    """A proof bundle. Hashes and addresses are 0x hex; `path` runs from `leaf` to `root`."""

    format: str
    content: Content
    leaf: str
    path: list[str]
    batch_root: str
    root: str
    chain_id: int
    contract: str
    tx_hash: str
    block_number: int
    block_hash: str
    anchored_at: str


class ProofFault(ValueError):
    """A proof bundle does not hold; the message says which part and why."""


def check(proof: Proof) -> bytes:
    """Check a bundle offline and give the root that must be found on the chain.

    Raises ProofFault: another format, a leaf that is not the content's, a path that does not lead
    to the batch root and on to the anchored root.
    """
    if proof.format != FORMAT:
        raise ProofFault(f"format is {proof.format!r}; accepted is {FORMAT!r}")
    try:
        leaf_hash = proof.content.leaf()
    except ValueError as error:
        raise ProofFault(f"content.product_id is not a UUID: {error}") from error
    if leaf_hash != unhex(proof.leaf, "leaf"):
        raise ProofFault("the leaf is not the hash of the content: the content was changed")
    siblings = [unhex(item, "path") for item in proof.path]
    root = root_of_path(leaf_hash, siblings)
    if root != unhex(proof.root, "root"):
        raise ProofFault("the path does not lead from the leaf to the root")
    passed = accumulate(siblings, hash_pair, initial=leaf_hash)
    if unhex(proof.batch_root, "batch_root") not in passed:
        raise ProofFault("the path does not pass through the batch root")
    return root


def unhex(text: str, name: str) -> bytes:
    """The 32 bytes of 0x hex. Raises ProofFault naming the member `name`."""
    if not text.startswith("0x"):
        raise ProofFault(f"{name} does not start with 0x")
    try:
        value = bytes.fromhex(text[2:])
    except ValueError as error:
        raise ProofFault(f"{name} is not hexadecimal: {error}") from error
    if len(value) != 32:
        raise ProofFault(f"{name} has {len(value)} bytes; a hash has 32")
    return value
