"""Making the proof of a product's origin from what is stored: its content, its path, its anchor."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from uuid import UUID

from voketag import identifiers, merkle, proofs
from voketag.http.problems import Problem, not_found
from voketag.process import Wires
from voketag.proofs import Content, Proof
from voketag.records import anchors, products, trees
from voketag.records.anchors import AnchorRecord
from voketag.records.database import Connection
from voketag.records.products import ProvenProduct


async def prove(wires: Wires, product_id: UUID, factory_id: UUID | None = None) -> Proof:
    """The proof bundle of a product, of this factory where one is given. What is final stays as it
    is, at a replica as well. Raises Problem 404 for no such product, Problem 409 before its batch's
    root is on the chain.
    """

    def ask(connection: Connection) -> Awaitable[_Found | None]:
        return _find(connection, factory_id, product_id)

    found = await wires.reads.first(ask, lambda one: one is not None and one.is_final)
    if found is None:
        raise not_found()
    product, content, anchor, path = found.product, found.content, found.anchor, found.path
    if anchor is None or path is None:
        raise Problem(
            409, "not_anchored_yet", "The batch's root is not on the chain yet; ask again."
        )
    return _proof(product, content, path, anchor)


@dataclass(frozen=True, slots=True)
class _Found:
    """What a proof is made of; without an anchor on the chain there is no path either."""

    product: ProvenProduct
    content: Content
    anchor: AnchorRecord | None
    path: list[bytes] | None

    @property
    def is_final(self) -> bool:
        return self.anchor is not None and self.anchor.status == "final"


async def _find(connection: Connection, factory_id: UUID | None, product_id: UUID) -> _Found | None:
    product = await products.proven_product(connection, factory_id, product_id)
    if product is None:
        return None
    content = _content(product)
    anchor = await anchors.anchor_of_batch(connection, product.batch_id)
    if anchor is None or anchor.status not in ("included", "final"):
        return _Found(product, content, None, None)
    return _Found(
        product, content, anchor, await _path_in_batch(connection, product, content.leaf())
    )


def _content(product: ProvenProduct) -> Content:
    made = product.manufactured_at
    return Content(
        batch_id=str(product.batch_id),
        factory_id=str(product.factory_id),
        manufactured_at=None if made is None else identifiers.rfc3339(made),
        product_id=str(product.product_id),
        serial=product.serial,
        sku=product.sku,
    )


async def _path_in_batch(
    connection: Connection, product: ProvenProduct, leaf: bytes
) -> list[bytes]:
    """The siblings from a leaf up to its batch's root."""
    place = await trees.place_of_leaf(connection, product.batch_id, product.product_count, leaf)
    path = None
    if place is not None:
        places = merkle.path_places(place)
        path = await trees.nodes_at(connection, product.batch_id, places)
    if path is None:
        raise RuntimeError(f"the tree of batch {product.batch_id} does not hold its product")
    return path


def _proof(
    product: ProvenProduct, content: Content, path: list[bytes], anchor: AnchorRecord
) -> Proof:
    """The bundle. An anchor that is included has all of these."""
    assert anchor.chain_id is not None
    assert anchor.block_number is not None
    assert anchor.anchored_at is not None
    return Proof(
        format=proofs.FORMAT,
        content=content,
        leaf=_hex(content.leaf()),
        path=[_hex(node) for node in (*path, *anchor.path)],
        batch_root=_hex(product.merkle_root),
        root=_hex(anchor.root),
        chain_id=anchor.chain_id,
        contract=_hex(anchor.contract),
        tx_hash=_hex(anchor.tx_hash),
        block_number=anchor.block_number,
        block_hash=_hex(anchor.block_hash),
        anchored_at=identifiers.rfc3339(anchor.anchored_at),
    )


def _hex(value: bytes | None) -> str:
    assert value is not None
    return "0x" + value.hex()
