"""Products over HTTP: the export of a batch, and the proof of one product."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import structlog
from aiohttp.web import Request, Response, StreamResponse

from producers.factory_access import authenticated, calling_factory
from voketag import identifiers, merkle, proofs
from voketag.batches import export_formats
from voketag.batches.answers import ProductLine
from voketag.batches.examples import ProofAnswer
from voketag.http.problems import Problem, not_found
from voketag.http.requests import path_id
from voketag.http.routes import Route, json_response
from voketag.process import Wires
from voketag.proofs import Content, Proof
from voketag.records import anchors, batches, products, trees
from voketag.records.anchors import AnchorRecord
from voketag.records.batches import Blueprint
from voketag.records.database import Connection
from voketag.records.products import ProvenProduct

CHUNK_PRODUCTS = 1_000
log = structlog.get_logger()


def routes(wires: Wires) -> Sequence[Route]:
    """The routes of products."""
    return (
        Route(
            "GET",
            "/v1/batches/{id}/products",
            partial(export_products, wires),
            "A batch's products with their tokens, as NDJSON or CSV by Accept. In CSV a serial "
            "that begins with =, +, - or @ has an apostrophe before it, because a spreadsheet "
            "would take it for a formula",
            {200: ", ".join(one.media_type for one in export_formats.FORMATS)},
            problems=(406, 409),
            security="factory",
        ),
        Route(
            "GET",
            "/v1/products/{id}/proof",
            partial(prove_product, wires),
            "The proof of a product's origin, from its content to the chain",
            {200: ProofAnswer},
            problems=(409,),
            security="factory",
        ),
    )


# ---------------------------------------------------------------------- export


async def export_products(wires: Wires, request: Request) -> StreamResponse:
    """GET /v1/batches/{id}/products, in as much memory for a million as for a thousand."""
    async with authenticated(wires, request) as (connection, factory_id):
        batch_id = path_id(request)
        batch = await batches.blueprint(connection, batch_id)
    if batch is None or batch.factory_id != factory_id:
        raise not_found()
    chosen = export_formats.accepted(request.headers.get("Accept"))
    if chosen is None:
        offered = " and ".join(one.media_type for one in export_formats.FORMATS)
        raise Problem(406, "not_acceptable", f"{offered} are offered.")
    _check_exportable(wires, batch)
    response = StreamResponse(
        headers={
            "Content-Type": chosen.media_type,
            "Content-Disposition": f'attachment; filename="{batch_id}.{chosen.suffix}"',
        }
    )
    await response.prepare(request)
    try:
        await response.write(chosen.head)
        async for lines in _product_lines(wires, batch):
            await response.write(chosen.lines(lines))
    except ConnectionResetError:
        raise
    except Exception as error:
        # The status is sent already: an answer that is cut off is the one way left to say it.
        log.exception("export broken off", batch_id=str(batch_id), exc_info=error)
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("export broken off") from error
    await response.write_eof()
    return response


def _check_exportable(wires: Wires, batch: Blueprint) -> None:
    """Raises Problem 409 where the batch has no products, or their tokens cannot be derived."""
    if batch.status == "pending":
        raise Problem(409, "not_ready", "The products are being made; ask again in a moment.")
    if batch.status == "failed":
        raise Problem(409, "batch_failed", "This batch failed: it has no products.")
    if not wires.settings.token_keys.holds(batch.token_key_id):
        raise Problem(
            409,
            "token_key_retired",
            f"The tokens were signed with key {batch.token_key_id}, which is not in use any more.",
        )


async def _product_lines(wires: Wires, batch: Blueprint) -> AsyncIterator[list[ProductLine]]:
    """The products in the order of their index. Ids and tokens are derived, serials are read."""
    ring, public_url = wires.settings.token_keys, wires.settings.public_url
    for start in range(0, batch.product_count, CHUNK_PRODUCTS):
        stop = min(start + CHUNK_PRODUCTS, batch.product_count)
        ids = [identifiers.product_id(batch.batch_id, index) for index in range(start, stop)]
        serials = await _serials(wires, ids)
        lines = []
        for product_id in ids:
            token = ring.mint(product_id, batch.token_key_id)
            url = f"{public_url}/r/{token}"
            lines.append(ProductLine(str(product_id), serials[product_id], token, url))
        yield lines


async def _serials(wires: Wires, ids: Sequence[UUID]) -> dict[UUID, str]:
    """The serials of stored products. They never change: a replica that has them all is right."""
    return await wires.reads.first(
        lambda connection: products.serials_of(connection, ids),
        lambda serials: len(serials) == len(ids),
    )


# ---------------------------------------------------------------------- proof


async def prove_product(wires: Wires, request: Request) -> Response:
    """GET /v1/products/{id}/proof. What is final stays as it is, at a replica as well."""
    factory_id = await calling_factory(wires, request)
    product_id = path_id(request)

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
    return json_response(_proof(product, content, path, anchor))


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


async def _find(connection: Connection, factory_id: UUID, product_id: UUID) -> _Found | None:
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
