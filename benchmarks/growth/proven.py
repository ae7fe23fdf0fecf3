"""A real batch with its tree and its anchor, for proofs to be looked up."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from voketag import merkle
from voketag.batches.making import Maker
from voketag.batches.submission import CheckedBatch
from voketag.identifiers import new_id
from voketag.records import anchor_blocks, anchors, batches, products, trees
from voketag.records.anchor_blocks import Inclusion
from voketag.records.anchors import Anchor
from voketag.records.batches import Origin
from voketag.records.database import Connection, Database

PRODUCTS = 10_000


@dataclass(frozen=True, slots=True)
class Proven:
    """Products of a factory with their leaves, all of one batch whose root is on a chain."""

    factory_id: UUID
    product_ids: list[UUID]
    leaves: list[bytes]


async def prove(database: Database, factory_id: UUID) -> Proven:
    """Store such a batch, as the factory, register and anchor would."""
    batch_id = new_id()
    made = Maker(batch_id, factory_id, "SHOE-42", None).chunk(0, PRODUCTS)
    tree = merkle.build(made.leaves)
    asked = CheckedBatch("SHOE-42", "Running shoe", PRODUCTS, None, None, (), None)
    async with database.transaction() as connection:
        await batches.insert(connection, batch_id, asked, Origin(factory_id, None, b""), 1)
        await products.add_products(connection, batch_id, made.product_ids, made.serials)
        await trees.add_tree(connection, batch_id, tree)
        root = merkle.node(tree, 0)
        await batches.mark_processing(connection, batch_id, root)
        await anchors.store_roots(connection, [(batch_id, root)])
        anchor = Anchor(new_id(), bytes(20), bytes(20), 0, root, "queued")
        await anchors.insert_anchor(connection, anchor, 31337, 1)
        await anchors.assign_roots(connection, anchor.anchor_id, [(batch_id, b"")])
        block = Inclusion(secrets.token_bytes(32), 1, bytes(32), datetime.now(UTC), 45_375)
        await anchor_blocks.mark_included(connection, anchor.anchor_id, block)
    return Proven(factory_id, [UUID(bytes=raw) for raw in made.product_ids], made.leaves)


async def look_up(connection: Connection, proven: Proven, number: int) -> None:
    """What GET /v1/products/{id}/proof reads. Raises RuntimeError where it is not found."""
    product_id, leaf = proven.product_ids[number], proven.leaves[number]
    product = await products.proven_product(connection, proven.factory_id, product_id)
    if product is None:
        raise RuntimeError(f"product {product_id} is not found")
    batch_id = product.batch_id
    anchor = await anchors.anchor_of_batch(connection, batch_id)
    place = await trees.place_of_leaf(connection, batch_id, product.product_count, leaf)
    if anchor is None or place is None:
        raise RuntimeError(f"the anchor or the leaf of {product_id} is not found")
    await trees.nodes_at(connection, batch_id, merkle.path_places(place))
