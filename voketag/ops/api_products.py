"""Products as analysts look into them: found, shown with their scans, proven."""

from __future__ import annotations

from operator import attrgetter
from urllib.parse import urlsplit
from uuid import UUID

from aiohttp import web

from voketag import events, proving
from voketag.cursors import page_of, read_cursor
from voketag.errors import InvalidField, Unavailable
from voketag.http.problems import not_found
from voketag.http.requests import path_id, read_query
from voketag.http.routes import Route, json_response
from voketag.ops import product_answers as answers
from voketag.ops.access import actor_of
from voketag.ops.product_answers import Product, ProductQuery, ProductsFound, ScanPage, ScanQuery
from voketag.printable import is_printable
from voketag.process import Wires
from voketag.proofs import Proof
from voketag.records import known_products, product_pages, reports
from voketag.records.database import Connection
from voketag.records.product_pages import FoundProduct, ProductScan
from voketag.redis.intake import histories
from voketag.risk.history import History
from voketag.roles import allows

REPORTS_SHOWN = 100
_NONE = "There is no product with this id."


class Products:
    """The routes over their wires. A product, its batch and its reports are read where they are
    written, since people change them; its scans by a replica where there is one.
    """

    def __init__(self, wires: Wires) -> None:
        self._wires = wires

    async def find(self, request: web.Request) -> web.Response:
        """The product that a person looks for."""
        query = read_query(request, ProductQuery)
        text = query.q.strip()
        product_id = self._product_of(text)
        if product_id is None and query.batch_id is None and not _is_url(text):
            raise InvalidField(
                "q",
                "A product id, a token that we signed, or a verification URL is accepted; a serial "
                "together with batch_id.",
            )
        found: FoundProduct | None = None
        async with self._wires.database.connection() as connection:
            if product_id is not None:
                found = await product_pages.find(connection, product_id)
            elif query.batch_id is not None and is_printable(text):  # as each serial is
                found = await product_pages.find_serial(connection, query.batch_id, text)
        return json_response(ProductsFound(() if found is None else (answers.in_short(found),)))

    async def get(self, request: web.Request) -> web.Response:
        """One product."""
        product_id = path_id(request)
        async with self._wires.database.connection() as connection:
            found = await product_pages.find(connection, product_id)
            if found is None:
                raise not_found(_NONE)
            filed = await reports.of_product(connection, product_id, REPORTS_SHOWN)
        remembered = await self._remembered(product_id)

        async def ask(connection: Connection) -> tuple[list[ProductScan], History | None]:
            newest = await product_pages.scans(connection, product_id, limit=1)
            if remembered is not None:
                return newest, remembered
            stored = await known_products.histories_of(connection, [product_id])
            return newest, stored.get(product_id)

        newest, history = await self._wires.reads.first(ask)
        url = self._token_url(found) if allows(actor_of(request).role, "analyst") else None
        last = newest[0] if newest else None
        return json_response(answers.whole(found, url, history, last, filed))

    async def scans(self, request: web.Request) -> web.Response:
        """A page of a product's scans."""
        product_id = path_id(request)
        query = read_query(request, ScanQuery)
        after = read_cursor(query.cursor)

        async def ask(connection: Connection) -> list[ProductScan]:
            limit = query.limit + 1
            return await product_pages.scans(connection, product_id, limit=limit, after=after)

        found = await self._wires.reads.first(ask)
        if not found and after is None:
            await self._expect(product_id)
        shown, cursor = page_of(found, query.limit, attrgetter("scan_id"))
        return json_response(ScanPage(tuple(map(answers.scan, shown)), cursor))

    async def proof(self, request: web.Request) -> web.Response:
        """The proof bundle of a product."""
        return json_response(await proving.prove(self._wires, path_id(request)))

    async def _expect(self, product_id: UUID) -> None:
        """Raises Problem 404 for a product that there is not."""
        async with self._wires.database.connection() as connection:
            if await product_pages.find(connection, product_id) is None:
                raise not_found(_NONE)

    async def _remembered(self, product_id: UUID) -> History | None:
        """What the rules know of a product: it is ahead of what is stored."""
        shard = events.shard_of(product_id, self._wires.settings.shards)
        try:
            (history,) = await histories(self._wires.streams.redis, shard, [product_id])
        except Unavailable:
            return None
        return history

    def _product_of(self, text: str) -> UUID | None:
        """The product that a text names without a look at what is stored."""
        try:
            return UUID(text)
        except ValueError:
            token = urlsplit(text).path.rpartition("/r/")[2] if _is_url(text) else text
            return self._wires.settings.token_keys.verify(token)

    def _token_url(self, found: FoundProduct) -> str | None:
        ring = self._wires.settings.token_keys
        if not ring.holds(found.token_key_id):
            return None
        token = ring.mint(found.product_id, found.token_key_id)
        return f"{self._wires.settings.public_url}/r/{token}"


def _is_url(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))


def routes(wires: Wires) -> list[Route]:
    """The routes of products."""
    over = Products(wires)
    one = "/v1/products/{id}"
    return [
        Route(
            "GET",
            "/v1/products",
            over.find,
            "Find a product by its id, its token, its verification URL, or its batch and serial",
            {200: ProductsFound},
            query=ProductQuery,
            security="viewer",
        ),
        Route("GET", one, over.get, "What is known of it", {200: Product}, security="viewer"),
        Route(
            "GET",
            one + "/scans",
            over.scans,
            "The scans of a product, the newest first",
            {200: ScanPage},
            query=ScanQuery,
            security="viewer",
        ),
        Route(
            "GET",
            one + "/proof",
            over.proof,
            "The proof of a product's origin, from its content to the chain",
            {200: Proof},
            problems=(409,),
            security="viewer",
        ),
    ]
