"""Merkle trees whose paths OpenZeppelin's `MerkleProof.verify` accepts.

The layout is that of @openzeppelin/merkle-tree (StandardMerkleTree with sorted leaves): a complete
binary tree in an array, root first, children of node i at 2i+1 and 2i+2, the sorted leaves from
the last place backwards; a node is keccak256 of its two children, the smaller first.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import sha3

HASH_BYTES = 32
Nodes = bytes | bytearray
_BUCKETS = 256
_PARENTS_AT_ONCE = 2048
_PAIR = struct.Struct(f"{HASH_BYTES}s{HASH_BYTES}s")


def keccak256(data: bytes) -> bytes:
    """Keccak-256 as Ethereum uses it (not SHA3-256: the padding differs)."""
    return bytes(sha3.keccak_256(data).digest())


def hash_pair(left: bytes, right: bytes) -> bytes:
    """The parent of two nodes, whichever order they are given in."""
    return keccak256(left + right if left <= right else right + left)


class Leaves:
    """Leaves on their way into a tree, in any order.

    They are kept as plain bytes, by their first byte: a million leaves take 32 MB here and are
    sorted a few thousand at a time, where a list of them would take 90.
    """

    def __init__(self) -> None:
        self._buckets = [bytearray() for _ in range(_BUCKETS)]

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add 32-byte leaf hashes."""
        buckets = self._buckets
        for leaf in leaves:
            buckets[leaf[0]] += leaf

    def tree(self) -> bytearray:
        """The whole tree as one array of 2n-1 nodes, the root first. The leaves are gone then.

        Raises ValueError where there are none.
        """
        count = sum(map(len, self._buckets)) // HASH_BYTES
        nodes, end = _room_for(count)
        for place, bucket in enumerate(self._buckets):
            starts = range(0, len(bucket), HASH_BYTES)
            packed = bytes(bucket)
            self._buckets[place] = bytearray()
            ordered = sorted((packed[at : at + HASH_BYTES] for at in starts), reverse=True)
            nodes[end - len(packed) : end] = b"".join(ordered)
            end -= len(packed)
        _hash_inner_nodes(nodes, count)
        return nodes


def build(leaves: Iterable[bytes]) -> bytes:
    """The whole tree of 32-byte leaf hashes as one array of 2n-1 nodes, the root first.

    The leaves are sorted here. Raises ValueError for none.
    """
    return grow(sorted(leaves))


def grow(ordered: Sequence[bytes]) -> bytes:
    """The tree of leaves that are sorted already; see `build`."""
    nodes, end = _room_for(len(ordered))
    nodes[end - len(ordered) * HASH_BYTES :] = b"".join(reversed(ordered))
    _hash_inner_nodes(nodes, len(ordered))
    return bytes(nodes)


def _room_for(count: int) -> tuple[bytearray, int]:
    if count == 0:
        raise ValueError("a Merkle tree has at least one leaf")
    size = (2 * count - 1) * HASH_BYTES
    return bytearray(size), size


def _hash_inner_nodes(nodes: bytearray, count: int) -> None:
    """Fill in the nodes above `count` leaves, from the last one to the root."""
    keccak, pairs = sha3.keccak_256, _PAIR.iter_unpack
    stop = count - 1
    while stop > 0:
        # The children of these parents lie at `stop` or behind it: they are there already.
        start = max(stop // 2, stop - _PARENTS_AT_ONCE)
        children = nodes[(2 * start + 1) * HASH_BYTES : (2 * stop + 1) * HASH_BYTES]
        parents = [
            keccak(left + right if left <= right else right + left).digest()
            for left, right in pairs(children)
        ]
        nodes[start * HASH_BYTES : stop * HASH_BYTES] = b"".join(parents)
        stop = start


def leaf_count(node_count: int) -> int:
    """How many leaves a tree of `node_count` nodes has."""
    return (node_count + 1) // 2


def path_places(place: int) -> list[int]:
    """The places of the siblings that lead from node `place` to the root, lowest first."""
    places = []
    while place > 0:
        places.append(place + 1 if place % 2 else place - 1)
        place = (place - 1) // 2
    return places


def node(tree: Nodes, place: int) -> bytes:
    """The node at `place` of a tree as `build` gives it."""
    return bytes(tree[place * HASH_BYTES : (place + 1) * HASH_BYTES])


def path(tree: Nodes, place: int) -> list[bytes]:
    """The sibling hashes from the node at `place` up to the root."""
    return [node(tree, sibling) for sibling in path_places(place)]


def root_of_path(leaf: bytes, siblings: Iterable[bytes]) -> bytes:
    """The root that a leaf and its path lead to."""
    current = leaf
    for sibling in siblings:
        current = hash_pair(current, sibling)
    return current
