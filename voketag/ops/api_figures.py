"""Figures: how the streams stand, and the statistics of the last days."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from uuid import UUID

from aiohttp import web

from voketag import identifiers, topology
from voketag.administration import (
    Day,
    Group,
    StatsAnswer,
    Stream,
    StreamsAnswer,
    Today,
    TopProduct,
)
from voketag.http.routes import Route, json_response
from voketag.ownership import LEASE_MS
from voketag.process import Wires
from voketag.records import stats
from voketag.records.database import Connection
from voketag.records.stats import Named
from voketag.redis.stream_status import StreamStatus, read_status

DAYS = 30
TOP_PRODUCTS = 10


class Figures:
    """The routes over their wires."""

    def __init__(self, wires: Wires) -> None:
        self._wires = wires
        self._groups = topology.groups_of(wires.settings.shards)

    async def streams(self, _: web.Request) -> web.Response:
        """How every stream stands."""
        found = await read_status(self._wires.streams.redis, self._groups, LEASE_MS)
        return json_response(StreamsAnswer(tuple(map(stream_of, found))))

    async def stats(self, _: web.Request) -> web.Response:
        """The statistics."""
        now_ms = time.time_ns() // 1_000_000
        accepted = await self._wires.intake.today(now_ms)
        top = await self._wires.intake.top(now_ms, TOP_PRODUCTS)
        day = identifiers.time_of_ms(now_ms).date()
        wanted = [product_id for product_id, _ in top]

        async def ask(connection: Connection) -> tuple[list[Day], dict[UUID, Named]]:
            return await stats.daily(connection, day, DAYS), await stats.named(connection, wanted)

        days, named = await self._wires.reads.first(ask)  # a replica's lag is no matter here
        today = Today(days[0].day, accepted, days[0])
        return json_response(StatsAnswer(today, tuple(days), top_products(top, named)))


def top_products(
    top: Sequence[tuple[UUID, int]], named: Mapping[UUID, Named]
) -> tuple[TopProduct, ...]:
    """The most scanned products with what they are called, as far as that is known."""
    products = []
    for product_id, scans in top:
        known = named.get(product_id)
        sku, name = (None, None) if known is None else (known.sku, known.name)
        products.append(TopProduct(product_id, scans, sku, name))
    return tuple(products)


def stream_of(status: StreamStatus) -> Stream:
    """A stream as it is told."""
    groups = tuple(
        Group(
            group.group,
            group.registered,
            group.lag,
            group.pending,
            round(group.oldest_unacked_s, 3),
            group.consumers,
        )
        for group in status.groups
    )
    return Stream(status.stream, status.length, status.dead, groups)


def routes(wires: Wires) -> list[Route]:
    """The routes of figures."""
    over = Figures(wires)
    return [
        Route(
            "GET",
            "/v1/streams",
            over.streams,
            "How each stream and its groups stand",
            {200: StreamsAnswer},
            security="viewer",
        ),
        Route(
            "GET",
            "/v1/stats",
            over.stats,
            "Today, the last 30 days, today's most scanned products",
            {200: StatsAnswer},
            security="viewer",
        ),
    ]
