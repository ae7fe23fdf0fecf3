"""The scan client against the scan service, and with a network that misbehaves between them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from consumers import persist, score
from tests.cutting_proxy import cutting_proxy
from tests.factory_floor import running, store_product, token_of
from tests.phones import Phone, phone_on
from voketag import identifiers
from voketag.client import Device, ProblemError, ScanClient, TransportError, Where
from voketag.client.waiting import until
from voketag.scans.answers import ScanRecord


@pytest.fixture
async def phone(redis_url: str, database_url: str) -> AsyncIterator[Phone]:
    async with phone_on(redis_url, database_url, TRUSTED_PROXIES="127.0.0.0/8") as opened:
        yield opened


async def token_on(phone: Phone) -> str:
    product = await store_product(phone.wires)
    return token_of(phone.wires, product.product_id)


async def test_a_scan_and_its_record(phone: Phone) -> None:
    token = await token_on(phone)
    async with ScanClient(phone.url, user_agent="App/1.0 (Android 15)") as app:
        first = await app.scan(
            token,
            country="BR",
            location=Where(-23.55, -46.63),
            device=Device(install_id="a"),
            forwarded_for="192.0.2.1",
        )
        assert first.verdict == "authentic"
        assert first.product is not None
        assert first.product.sku == "SHOE-42"
        assert first.risk is not None
        assert first.risk.reasons == ()
        assert await app.scan_of_record(first.scan_id) is None

        async def recorded() -> ScanRecord | None:
            return await app.scan_of_record(first.scan_id)

        async with running(phone.wires, score.build(phone.wires), persist.build(phone.wires)):
            record = await until("stored", recorded, 20)
        assert (record.verdict, record.answered.verdict) == ("authentic", "authentic")
        reports = {
            await app.report("counterfeit", scan_id=first.scan_id),
            await app.report("damaged", token=token, description="torn"),
        }
        assert len(reports) == 2


async def test_a_token_of_nobody_and_a_report_of_it(phone: Phone) -> None:
    async with ScanClient(phone.url) as app:
        answer = await app.scan("NONE")
        assert (answer.verdict, answer.product) == ("not_recognised", None)
        with pytest.raises(ProblemError) as raised:
            await app.report("other", token="NONE")
        assert (raised.value.status, raised.value.code) == (404, "unknown_token")
        assert raised.value.request_id


async def test_what_is_wrong_with_a_field_is_told(phone: Phone) -> None:
    async with ScanClient(phone.url) as app:
        with pytest.raises(ProblemError, match="ISO 3166-1") as raised:
            await app.scan("NONE", country="XX")
        assert (raised.value.code, raised.value.field) == ("invalid_country", "country")


async def test_an_answer_that_is_lost_after_acceptance_counts_once(phone: Phone) -> None:
    token = await token_on(phone)
    async with (
        cutting_proxy(phone.url) as (proxy, through),
        ScanClient(through) as app,
    ):
        proxy.lose_reply_to = b"POST /v1/scans"
        first = await app.scan(token)
        assert proxy.cuts == 1
        assert first.history is not None
        assert first.history.scans == 1
        second = await app.scan(token)
        assert second.history is not None
        assert second.history.scans == 2


async def test_a_connection_that_falls_silent_is_left_for_another(phone: Phone) -> None:
    token = await token_on(phone)
    async with (
        cutting_proxy(phone.url) as (proxy, through),
        ScanClient(through, attempt_timeout_s=0.3) as app,
    ):
        await app.scan(token)
        assert proxy.freeze() == 1
        second = await app.scan(token)
        assert second.history is not None
        assert second.history.scans == 2


async def test_an_answer_that_never_comes_may_have_been_accepted(phone: Phone) -> None:
    token, scan_id = await token_on(phone), identifiers.new_id()
    async with (
        cutting_proxy(phone.url) as (proxy, through),
        ScanClient(through, retries=False) as app,
        ScanClient(phone.url) as direct,
    ):
        proxy.lose_reply_to = b"POST /v1/scans"
        with pytest.raises(TransportError) as raised:
            await app.scan(token, scan_id=scan_id)
        assert raised.value.sent
        late = await direct.scan(token, scan_id=scan_id)
        assert late.history is not None
        assert late.history.scans == 1


async def test_the_limit_of_an_address_is_told(redis_url: str, database_url: str) -> None:
    limited = phone_on(redis_url, database_url, SCAN_RATE_LIMIT="1")
    async with limited as phone, ScanClient(phone.url, timeout_s=0.5) as app:
        token = await token_on(phone)
        await app.scan(token)
        with pytest.raises(ProblemError) as raised:
            await app.scan(token)
        assert raised.value.code == "too_many_scans"
        assert raised.value.retry_after_s
