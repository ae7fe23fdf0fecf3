"""Merkle trees: every leaf has a path to the root, in OpenZeppelin's layout."""

from __future__ import annotations

import random

import pytest
import sha3
from hypothesis import given
from hypothesis import strategies as st

from voketag import merkle

hashes = st.binary(min_size=32, max_size=32)
some_leaves = st.lists(hashes, min_size=1, max_size=200, unique=True)


def by_definition(leaves: list[bytes]) -> list[bytes]:
    """@openzeppelin/merkle-tree's makeMerkleTree, line by line."""
    ordered = sorted(leaves)
    tree = [b""] * (2 * len(ordered) - 1)
    for number, leaf in enumerate(ordered):
        tree[len(tree) - 1 - number] = leaf
    for place in range(len(tree) - 1 - len(ordered), -1, -1):
        pair = sorted([tree[2 * place + 1], tree[2 * place + 2]])
        tree[place] = sha3.keccak_256(b"".join(pair)).digest()
    return tree


def test_keccak_is_the_one_of_ethereum() -> None:
    empty = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert merkle.keccak256(b"").hex() == empty


def test_the_root_is_openzeppelins() -> None:
    """StandardMerkleTree.of([["0x01.."], ["0x02.."], ["0x03.."]], ["bytes32"]).root"""
    values = [bytes([value]) * 32 for value in (1, 2, 3)]
    tree = merkle.build(merkle.keccak256(merkle.keccak256(value)) for value in values)
    expected = "d0721d2dc79379fabc8f9fedaf82df1f99c98be5da4b6affa7ff9a42314b4e1c"
    assert merkle.node(tree, 0).hex() == expected


@given(some_leaves)
def test_the_tree_is_the_defined_one(leaves: list[bytes]) -> None:
    assert merkle.build(leaves) == b"".join(by_definition(leaves))
    assert merkle.grow(sorted(leaves)) == merkle.build(leaves)


@given(some_leaves)
def test_gathered_leaves_make_the_same_tree(leaves: list[bytes]) -> None:
    gathered = merkle.Leaves()
    gathered.extend(leaves[:3])
    gathered.extend(leaves[3:])
    assert gathered.tree() == merkle.build(leaves)


@pytest.mark.parametrize("count", [1, 2, 3, 1023, 1024, 1025, 4095, 4096, 4097, 10_000])
def test_trees_larger_than_one_step_are_the_same(count: int) -> None:
    source = random.Random(count)
    leaves = [source.randbytes(32) for _ in range(count)]
    gathered = merkle.Leaves()
    gathered.extend(leaves)
    tree = gathered.tree()
    assert tree == b"".join(by_definition(leaves))
    assert merkle.leaf_count(len(tree) // merkle.HASH_BYTES) == count


@given(some_leaves, st.randoms())
def test_every_leaf_leads_to_the_root(leaves: list[bytes], source: random.Random) -> None:
    tree = merkle.build(leaves)
    root = merkle.node(tree, 0)
    ordered = sorted(leaves)
    for number, leaf in enumerate(ordered):
        place = 2 * len(leaves) - 2 - number
        assert merkle.node(tree, place) == leaf
        path = merkle.path(tree, place)
        assert len(path) == len(merkle.path_places(place))
        assert merkle.root_of_path(leaf, path) == root
    foreign = source.randbytes(32)
    if foreign not in leaves:
        assert merkle.root_of_path(foreign, merkle.path(tree, len(leaves) - 1)) != root


@given(hashes, hashes)
def test_a_pair_has_no_order(left: bytes, right: bytes) -> None:
    assert merkle.hash_pair(left, right) == merkle.hash_pair(right, left)
    assert merkle.hash_pair(left, right) == merkle.keccak256(b"".join(sorted([left, right])))


def test_no_leaves_make_no_tree() -> None:
    for make in (lambda: merkle.build([]), lambda: merkle.grow([]), merkle.Leaves().tree):
        with pytest.raises(ValueError, match="at least one leaf"):
            make()
