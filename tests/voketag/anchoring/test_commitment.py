"""The super-root over batch roots: one path runs from a product to the chain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.anchoring import World, open_world
from voketag import merkle
from voketag.anchoring import commitment
from voketag.anchoring.registry import open_registry
from voketag.errors import Conflict
from voketag.identifiers import new_id
from voketag.records import anchors

HASHES = st.binary(min_size=32, max_size=32)
TREES = st.lists(
    st.lists(HASHES, min_size=1, max_size=9, unique=True),
    min_size=1,
    max_size=20,
    unique_by=lambda leaves: merkle.build(leaves)[:32],
)


@pytest.fixture
async def world(database_url: str, chain_url: str) -> AsyncIterator[World]:
    async with open_world(database_url, chain_url) as opened:
        yield opened


@given(TREES)
def test_product_path_and_super_path_lead_to_the_anchored_root(batches: list[list[bytes]]) -> None:
    trees = [merkle.build(leaves) for leaves in batches]
    roots = [(new_id(), merkle.node(tree, 0)) for tree in trees]
    super_tree = merkle.build(root for _, root in roots)
    paths = dict(commitment.super_paths(super_tree, roots))
    for (batch_id, root), tree, leaves in zip(roots, trees, batches, strict=True):
        super_path = [paths[batch_id][at : at + 32] for at in range(0, len(paths[batch_id]), 32)]
        assert merkle.root_of_path(root, super_path) == merkle.node(super_tree, 0)
        for index, leaf in enumerate(sorted(leaves)):
            path = merkle.path(tree, 2 * len(leaves) - 2 - index)
            whole = [*path, *super_path]
            assert merkle.root_of_path(leaf, whole) == merkle.node(super_tree, 0)


@given(HASHES)
def test_a_single_root_is_itself_the_anchored_root(root: bytes) -> None:
    tree = merkle.build([root])
    assert tree == root
    assert [path for _, path in commitment.super_paths(tree, [(new_id(), root)])] == [b""]


async def test_f39_without_the_lock_one_writer_gets_conflict_and_changes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock's server was lost and two writers go for the same roots: the tables decide."""
    batch_ids = [await world.batch() for _ in range(3)]
    registry = await open_registry(world.chain, world.settings)
    both_read = asyncio.Barrier(2)
    honest = anchors.waiting_roots

    async def read_together(*arguments: object) -> object:
        roots = await honest(*arguments)  # type: ignore[arg-type]
        await both_read.wait()
        return roots

    monkeypatch.setattr(anchors, "waiting_roots", read_together)
    outcomes = await asyncio.gather(
        *(commitment.gather(world.database, world.chain, registry, 0) for _ in range(2)),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [Conflict]
    assert await world.fetchval("SELECT count(*) FROM anchors") == 1
    monkeypatch.undo()
    await world.until_quiet()
    await world.check_all_final(*batch_ids)


async def test_no_more_than_a_few_are_in_flight(world: World) -> None:
    await world.until_quiet()
    await world.rpc("evm_setAutomine", False)
    batch_ids = []
    for _ in range(7):
        batch_ids.append(await world.batch())
        await world.anchoring.advance()
    assert len(await world.statuses()) == commitment.MOST_IN_FLIGHT
    await world.rpc("evm_setAutomine", True)
    await world.rpc("evm_mine")
    await world.until_quiet()
    await world.check_all_final(*batch_ids)
    assert len(await world.statuses()) == commitment.MOST_IN_FLIGHT + 1
