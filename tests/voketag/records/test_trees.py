"""Stored trees: every leaf is found, in few reads, and its siblings with it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from tests.factory_floor import settings_for
from voketag import identifiers, merkle, process
from voketag.process import Wires
from voketag.records import trees


@pytest.fixture
async def wires(redis_url: str, database_url: str) -> AsyncIterator[Wires]:
    settings = settings_for(redis_url, database_url)
    async with process.open_wires(settings, database=True) as opened:
        yield opened


async def stored(wires: Wires, leaves: list[bytes]) -> tuple[UUID, bytes]:
    batch_id, tree = identifiers.new_id(), merkle.build(leaves)
    async with wires.database.transaction() as connection:
        await trees.add_tree(connection, batch_id, tree)
    return batch_id, merkle.node(tree, 0)


@pytest.mark.parametrize("count", [1, 2, 3, 511, 512, 513, 1024, 1025, 40_000])
async def test_every_leaf_leads_to_the_root(wires: Wires, count: int) -> None:
    source = random.Random(count)
    leaves = [source.randbytes(32) for _ in range(count)]
    batch_id, root = await stored(wires, leaves)
    ends = [min(leaves), max(leaves)]
    async with wires.database.connection() as connection:
        for leaf in (*ends, *source.sample(leaves, min(count, 100))):
            place = await trees.place_of_leaf(connection, batch_id, count, leaf)
            assert place is not None
            path = await trees.nodes_at(connection, batch_id, merkle.path_places(place))
            assert path is not None
            assert merkle.root_of_path(leaf, path) == root


@pytest.mark.parametrize("count", [1, 2, 5000])
async def test_what_is_no_leaf_is_not_found(wires: Wires, count: int) -> None:
    source = random.Random(count)
    leaves = [source.randbytes(32) for _ in range(count)]
    batch_id, root = await stored(wires, leaves)
    async with wires.database.connection() as connection:
        for leaf in (root, bytes(32), b"\xff" * 32, *(source.randbytes(32) for _ in range(20))):
            if leaf not in leaves:
                found = await trees.place_of_leaf(connection, batch_id, count, leaf)
                assert found is None


async def test_leaves_that_lie_unevenly_are_found_all_the_same(wires: Wires) -> None:
    leaves = [(2**255 + number**3).to_bytes(32, "big") for number in range(5000)]
    leaves += [bytes(32), b"\xff" * 32]
    batch_id, _ = await stored(wires, leaves)
    async with wires.database.connection() as connection:
        for number, leaf in enumerate(sorted(leaves)):
            if number % 97 in (0, 96):
                place = await trees.place_of_leaf(connection, batch_id, len(leaves), leaf)
                assert place == 2 * len(leaves) - 2 - number


async def test_a_missing_tree_or_node_is_told(wires: Wires) -> None:
    batch_id, _ = await stored(wires, [bytes(32)])
    async with wires.database.connection() as connection:
        missing = identifiers.new_id()
        assert await trees.place_of_leaf(connection, missing, 10, bytes(32)) is None
        assert await trees.nodes_at(connection, missing, [0]) is None
        assert await trees.nodes_at(connection, batch_id, []) == []
        assert await trees.nodes_at(connection, batch_id, [0]) == [bytes(32)]
