"""Products over HTTP: the export of a batch, and the proof of one product."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial
from uuid import UUID

import structlog
from aiohttp.web import Request, Response, StreamResponse

from producers.factory_access import authenticated, calling_factory
from voketag import identifiers, proving
from voketag.batches import export_formats
from voketag.batches.answers import ProductLine
from voketag.batches.examples import ProofAnswer
from voketag.http.problems import Problem, not_found
from voketag.http.requests import path_id
from voketag.http.routes import Route, json_response
from voketag.process import Wires
from voketag.records import batches, products
from voketag.records.batches import Blueprint

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
    """GET /v1/products/{id}/proof"""
    factory_id = await calling_factory(wires, request)
    return json_response(await proving.prove(wires, path_id(request), factory_id))
