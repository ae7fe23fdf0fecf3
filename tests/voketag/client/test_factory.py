"""The factory client against the factory service, and with a network that misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from consumers import notify, register
from tests.cutting_proxy import cutting_proxy
from tests.erp import Erp, Service, anchor, serving
from tests.factory_floor import running
from voketag import identifiers, proofs
from voketag.batches.answers import BatchEvent
from voketag.client import BatchFailed, FactoryClient, ProblemError, Reconnected, WaitTimeout
from voketag.client import factory as factory_module

MANY = 5000  # products, whose export does not fit into one piece


@pytest.fixture
async def service(redis_url: str, database_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url, database_url, BATCH_RATE_LIMIT="0") as opened:
        yield opened


@pytest.fixture
async def erp(service: Service) -> Erp:
    return await service.erp()


async def test_a_batch_from_its_order_to_its_proof(service: Service, erp: Erp) -> None:
    async with FactoryClient(service.url, erp.key) as factory:
        receipt = await factory.create_batch(
            sku="SHOE-42",
            name="Running shoe",
            serials=["A1", "A2"],
            manufactured_at=date(2026, 3, 1),
            destination_countries=["BR"],
            attributes={"line": 7},
        )
        assert (receipt.status, receipt.product_count) == ("pending", 2)
        async with running(erp.wires, register.build(erp.wires)):
            batch = await factory.wait_for(receipt.batch_id, "processing", every_s=0.01)
        assert batch.manufactured_at == datetime(2026, 3, 1, tzinfo=UTC)
        assert (batch.destination_countries, batch.attributes) == (("BR",), {"line": 7})
        products = [product async for product in factory.products(batch.batch_id)]
        assert [product.serial for product in products] == ["A1", "A2"]
        with pytest.raises(ProblemError) as raised:
            await factory.proof(products[0].product_id)
        assert raised.value.code == "not_anchored_yet"
        root = await anchor(erp.wires, receipt.batch_id, "final")
        await factory.wait_for(receipt.batch_id, "completed", every_s=0.01)
        assert proofs.check(await factory.proof(products[0].product_id)) == root
        assert b'"voketag-proof-v1"' in await factory.proof_bundle(products[0].product_id)
        recalled = await factory.recall(receipt.batch_id, "Glue")
        assert recalled.recall_reason == "Glue"


async def test_batches_are_listed_page_by_page(
    service: Service, erp: Erp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(factory_module, "PAGE", 2)
    made = [await erp.create(product_count=1) for _ in range(5)]
    async with FactoryClient(service.url, erp.key) as factory:
        listed = [batch.batch_id async for batch in factory.batches()]
        assert listed == made[::-1]
        soon = datetime.now(UTC) + timedelta(hours=1)
        assert [batch async for batch in factory.batches("pending", created_after=soon)] == []


async def test_a_batch_whose_answer_is_lost_is_made_once(service: Service, erp: Erp) -> None:
    async with (
        cutting_proxy(service.url) as (proxy, through),
        FactoryClient(through, erp.key) as factory,
    ):
        proxy.lose_reply_to = b"POST /v1/batches"
        receipt = await factory.create_batch(sku="S", name="N", product_count=3)
        assert proxy.cuts == 1
        assert [batch.batch_id async for batch in factory.batches()] == [receipt.batch_id]


async def test_an_order_is_one_batch_whoever_sends_it(service: Service, erp: Erp) -> None:
    made = set()
    for _ in range(2):
        async with FactoryClient(service.url, erp.key) as factory:
            receipt = await factory.create_batch(
                sku="S", name="N", product_count=3, idempotency_key="order-4711"
            )
            made.add(receipt.batch_id)
    assert len(made) == 1


async def test_an_export_that_is_cut_off_goes_on_where_it_was(service: Service, erp: Erp) -> None:
    batch_id = await erp.create_stored(product_count=MANY)
    async with (
        cutting_proxy(service.url) as (proxy, through),
        FactoryClient(through, erp.key) as factory,
    ):
        proxy.lose_reply_to, proxy.let_through_bytes = b"/products", 300_000
        exported = [UUID(product.product_id) async for product in factory.products(batch_id)]
        assert proxy.cuts == 1
    assert exported == [identifiers.product_id(batch_id, index) for index in range(MANY)]


async def test_an_export_can_be_left_early(service: Service, erp: Erp) -> None:
    batch_id = await erp.create_stored(product_count=MANY)
    async with FactoryClient(service.url, erp.key) as factory:
        async with contextlib.aclosing(factory.products(batch_id)) as products:
            assert (await anext(products)).serial
        assert (await factory.batch(batch_id)).product_count == MANY


async def test_what_is_waited_for_may_fail_or_take_too_long(service: Service, erp: Erp) -> None:
    batch_id = await erp.create(product_count=1)
    async with FactoryClient(service.url, erp.key) as factory:
        with pytest.raises(WaitTimeout, match="processing"):
            await factory.wait_for(batch_id, "processing", timeout_s=0.1, every_s=0.01)
        failed = await erp.create(product_count=1)
        async with erp.wires.database.connection() as connection:
            await connection.execute(
                "UPDATE batches SET status = 'failed' WHERE batch_id = $1", failed
            )
        with pytest.raises(BatchFailed):
            await factory.wait_for(failed, "completed")


async def test_another_factorys_batch_is_not_there(service: Service, erp: Erp) -> None:
    batch_id = await erp.create(product_count=1)
    stranger = await service.erp()
    async with FactoryClient(service.url, stranger.key) as factory:
        with pytest.raises(ProblemError) as raised:
            [product async for product in factory.products(batch_id)]
        assert raised.value.status == 404


# ---------------------------------------------------------------------- events


async def test_events_go_on_after_the_connection_was_lost(service: Service, erp: Erp) -> None:
    async with (
        cutting_proxy(service.url) as (proxy, through),
        FactoryClient(through, erp.key) as factory,
        contextlib.aclosing(factory.events()) as heard,
        running(erp.wires, register.build(erp.wires), notify.build(erp.wires)),
    ):
        hearing = asyncio.ensure_future(anext(heard))
        first = await told_of_a_batch(erp, hearing)
        assert isinstance(first, BatchEvent)
        assert (first.kind, first.factory_id) == ("batch.processing", erp.factory_id)
        await proxy.close()
        assert await anext(heard) == Reconnected()
        second = await told_of_a_batch(erp, asyncio.ensure_future(anext(heard)))
        assert isinstance(second, BatchEvent)
        assert second.batch_id != first.batch_id


async def told_of_a_batch(
    erp: Erp, hearing: asyncio.Future[BatchEvent | Reconnected]
) -> BatchEvent | Reconnected:
    """What is heard once a batch is made; again, because who listens may not be heard yet."""
    while not hearing.done():
        await erp.create(product_count=1)
        await asyncio.wait([hearing], timeout=0.5)
    return hearing.result()


async def test_a_feed_ends_where_the_key_is_none(service: Service) -> None:
    async with FactoryClient(service.url, "vt_of_nobody") as factory:
        with pytest.raises(ProblemError) as raised:
            await anext(factory.events())
        assert raised.value.status == 401
