"""Reads by a real standby: what it answers, what it must not be believed, and what happens without
it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from producers.product_look_ups import ProductLookUps
from tests.administration import admin_on
from tests.command import environment, voketag
from tests.cutting_proxy import cutting_proxy
from tests.erp import anchor, serving
from tests.factory_floor import store_product, token_of, until
from tests.flow import join, push
from tests.phones import Phone, phone_on
from tests.scored_scans import scored
from tests.servers import Servers, database_named
from tests.standby import Standby, standby_of
from tests.system import System
from tests.voketag.test_process import environ_for, started
from voketag import events, identifiers, metrics, start_checks
from voketag.errors import Unavailable
from voketag.events import Product
from voketag.ops.run import PORT_VARIABLES
from voketag.records import scans, server
from voketag.records.database import Database
from voketag.redis.intake import Found, product_key, product_tag, recalled_key, reporters_key


@pytest.fixture
async def standby(database_url: str, tmp_path: Path) -> AsyncIterator[Standby]:
    async with standby_of(database_url, tmp_path) as running:
        yield running


@pytest.fixture
async def phone(redis_url: str, database_url: str, standby: Standby) -> AsyncIterator[Phone]:
    async with phone_on(redis_url, database_url, DATABASE_READ_URL=standby.url) as opened:
        assert await start_checks.replica_faults(opened.wires.reads) == []
        yield opened


class Counted:
    """What reads by the replica have come to since this was made."""

    def __init__(self) -> None:
        self._before = {
            outcome: self._total(outcome) for outcome in ("answered", "unavailable", "lacking")
        }

    def __getitem__(self, outcome: str) -> float:
        return self._total(outcome) - self._before[outcome]

    @staticmethod
    def _total(outcome: str) -> float:
        labels = {"outcome": outcome}
        return metrics.REGISTRY.get_sample_value("voketag_replica_reads_total", labels) or 0.0


def shard_of(phone: Phone, product: Product) -> int:
    return events.shard_of(product.product_id, phone.wires.settings.shards)


# ---------------------------------------------------------------------- what it answers


async def test_f29_the_replica_answers_while_the_primary_is_away(
    phone: Phone, standby: Standby, servers: Servers
) -> None:
    """Look-ups and records are its own answers: there is nobody else."""
    products = [await store_product(phone.wires) for _ in range(2)]
    stored = msgspec.structs.replace(scored(1), product=products[0])
    async with phone.wires.database.transaction() as connection:
        await scans.store(connection, [stored])
    await standby.follow()
    await servers.stop("postgres")
    for product in products:
        answer = await phone.scan(token_of(phone.wires, product.product_id))
        assert answer["verdict"] == "authentic"
        assert answer["product"]["product_id"] == str(product.product_id)
    record = await phone.record(str(stored.scan.scan_id))
    assert record["verdict"] == stored.assessment.verdict


async def test_f29_what_the_replica_lacks_is_not_unknown_while_the_primary_is_away(
    phone: Phone, servers: Servers
) -> None:
    unknown = identifiers.product_id(identifiers.new_id(), 0)
    await servers.stop("postgres")
    status, body, headers = await phone.post("/v1/scans", {"token": token_of(phone.wires, unknown)})
    assert (status, body["code"]) == (503, "unavailable")
    assert headers["Retry-After"]
    path = f"/v1/scans/{identifiers.new_id()}"
    async with phone.session.get(path) as response:
        assert response.status == 503


async def test_f29_who_is_known_is_answered_beside_one_who_is_not(
    phone: Phone, standby: Standby, servers: Servers
) -> None:
    """They share the queries, and the primary, which is away, is needed for one of them."""
    product = await store_product(phone.wires)
    unknown = identifiers.product_id(identifiers.new_id(), 0)
    await standby.follow()
    await servers.stop("postgres")
    look_ups = ProductLookUps(phone.wires)
    found, missing = await asyncio.gather(
        look_ups.find(product.product_id), look_ups.find(unknown), return_exceptions=True
    )
    await look_ups.close()
    assert found == Found(product, None)
    assert isinstance(missing, Unavailable)


async def test_what_is_not_on_the_replica_yet_is_found_at_the_primary(
    phone: Phone, standby: Standby
) -> None:
    await standby.pause()
    counted = Counted()
    product = await store_product(phone.wires)
    stored = msgspec.structs.replace(scored(1), product=product)
    async with phone.wires.database.transaction() as connection:
        await scans.store(connection, [stored])
    answer = await phone.scan(token_of(phone.wires, product.product_id))
    assert answer["verdict"] == "authentic"
    assert (await phone.record(str(stored.scan.scan_id)))["scan_id"] == str(stored.scan.scan_id)
    assert (counted["answered"], counted["lacking"], counted["unavailable"]) == (2, 2, 0)


async def test_proofs_and_exports_of_what_is_final_come_from_the_replica(
    redis_url: str, database_url: str, standby: Standby
) -> None:
    async with (
        serving(redis_url, database_url) as without,
        serving(redis_url, database_url, DATABASE_READ_URL=standby.url) as service,
    ):
        assert await start_checks.replica_faults(service.wires.reads) == []
        erp = await service.erp()
        batch_id = await erp.create_stored(product_count=3)
        proof = f"/v1/products/{identifiers.product_id(batch_id, 1)}/proof"
        await standby.follow()
        counted = Counted()
        assert (await erp.get(proof)).problem == (409, "not_anchored_yet")
        assert counted["lacking"] == 1
        await standby.pause()
        await anchor(service.wires, batch_id, "final")
        lagging = await erp.get(proof)
        assert counted["lacking"] == 2
        await standby.resume()
        await standby.follow()
        assert (await erp.get(proof)).body == lagging.body
        export = await erp.get(f"/v1/batches/{batch_id}/products")
        assert len(export.raw.splitlines()) == 3
        assert (counted["answered"], counted["lacking"]) == (4, 2)
        own = await erp.get("/v1/batches")  # its own writes are read: not from the replica
        assert (own.status, counted["answered"]) == (200, 4)
        assert without.wires.reads.has_replica is False


async def test_statistics_come_from_the_replica_and_its_lag_is_told(
    redis_url: str, database_url: str, standby: Standby
) -> None:
    async def lag_bytes() -> float | None:
        async with admin.session.get("/metrics") as response:
            lines = (await response.text()).splitlines()
        found = [line for line in lines if line.startswith("voketag_replica_lag_bytes{")]
        assert all(f'replica="127.0.0.1:{standby.port}"' in line for line in found)
        return float(found[0].split()[-1]) if found else None

    async def shows(expected: int) -> bool:
        day = (await admin.ask("GET", "/v1/stats"))["today"]["stored"]
        return bool(day["scans"] == expected)

    async with admin_on(redis_url, database_url, DATABASE_READ_URL=standby.url) as admin:
        assert await lag_bytes() is None
        assert await start_checks.replica_faults(admin.wires.reads) == []
        await standby.pause()
        async with admin.wires.database.transaction() as connection:
            await scans.store(connection, [scored(1)])
        lag = await lag_bytes()
        assert lag is not None
        assert lag > 0
        assert await shows(0)
        await standby.resume()
        await until(lambda: shows(1), "the replica's own statistics")
        await standby.end()
        assert await shows(1)
        assert await lag_bytes() is None


# ---------------------------------------------------------------------- what it is not believed


async def test_a_lagging_replica_changes_nothing_of_what_redis_was_told(
    phone: Phone, standby: Standby, servers: Servers, redis_url: str, database_url: str
) -> None:
    """A report that was dismissed since counts no more, a batch recalled since stays recalled."""
    product = await store_product(phone.wires)
    token = token_of(phone.wires, product.product_id)
    status, report, _ = await phone.post("/v1/reports", {"token": token, "reason": "counterfeit"})
    assert status == 202
    await standby.pause()
    async with admin_on(redis_url, database_url) as admin:
        await admin.ask("PATCH", f"/v1/reports/{report['report_id']}", {"status": "dismissed"})
    async with phone.wires.database.connection() as connection:
        await connection.execute("UPDATE batches SET recalled_at = now()")
    await phone.wires.intake.recall(product.batch_id)
    redis, shard = phone.wires.streams.redis, shard_of(phone, product)
    tag = product_tag(shard, product.product_id)
    for primary in ("there", "away"):
        if primary == "away":
            await servers.stop("postgres")
        await redis.delete(product_key(tag))
        counted = Counted()
        answer = await phone.scan(token)
        assert answer["verdict"] == "recalled"
        assert "reported" not in {reason["code"] for reason in answer["risk"]["reasons"]}
        assert await redis.scard(reporters_key(tag)) == 0
        assert counted["answered"] == 1
    assert await redis.sismember(recalled_key(shard), str(product.batch_id))


# ---------------------------------------------------------------------- without it


async def test_f29_a_replica_that_is_killed_is_done_without_and_used_again(
    phone: Phone, standby: Standby
) -> None:
    async def scan_another() -> None:
        product = await store_product(phone.wires)
        assert (await phone.scan(token_of(phone.wires, product.product_id)))["product"]

    async def used_again() -> bool:
        await scan_another()
        return counted["answered"] > 0

    counted = Counted()
    with capture_logs() as lines:
        await standby.end()
        for _ in range(3):
            await scan_another()
        assert (counted["answered"], counted["unavailable"]) == (0, 3)
        await standby.start()
        await until(used_again, "the replica is used again")
    said = [line["event"] for line in lines if "replica" in line["event"]]
    assert said == ["the replica is left alone, the primary is asked", "the replica is asked again"]


async def test_f29_a_silent_replica_fails_no_scan(
    redis_url: str, database_url: str, standby: Standby
) -> None:
    async with (
        cutting_proxy(standby.url) as (proxy, url),
        phone_on(redis_url, database_url, DATABASE_READ_URL=url) as phone,
    ):
        assert await start_checks.replica_faults(phone.wires.reads) == []
        counted = Counted()
        proxy.freezes_new = True
        proxy.freeze()
        for _ in range(2):
            product = await store_product(phone.wires)
            answer = await phone.scan(token_of(phone.wires, product.product_id))
            assert answer["verdict"] == "authentic"
        assert (counted["answered"], counted["unavailable"]) == (0, 2)


async def test_a_replica_that_was_promoted_is_not_asked(phone: Phone, standby: Standby) -> None:
    """It knows nothing of what the primary has written since, and would never learn."""
    counted = Counted()
    product = await store_product(phone.wires)
    await phone.scan(token_of(phone.wires, product.product_id))
    assert counted["answered"] == 1  # a connection that is open by now
    assert await standby.ask("SELECT pg_promote()")
    for _ in range(2):
        product = await store_product(phone.wires)
        answer = await phone.scan(token_of(phone.wires, product.product_id))
        assert answer["verdict"] == "authentic"
    assert (counted["answered"], counted["unavailable"]) == (1, 2)


# ---------------------------------------------------------------------- at the start


async def test_a_replica_of_another_database_is_refused(
    redis_url: str, database_url: str, standby: Standby
) -> None:
    elsewhere = database_named(standby.url, "postgres")
    environ = environ_for(redis_url, database_url, DATABASE_READ_URL=elsewhere)
    async with started(environ, "-m", "producers.scan") as (running, _):
        _, error = await running.communicate()
    assert running.returncode == 2
    assert error.decode().count("VOKETAG_DATABASE_READ_URL: this server holds another") == 1
    assert b"Traceback" not in error


async def test_any_user_may_see_whose_copy_a_database_is(
    database_url: str, standby: Standby
) -> None:
    owner = await Database.open(database_url, most=1)
    async with owner.connection() as connection:
        primary = await server.identity(connection)
        await connection.execute("CREATE ROLE plain LOGIN PASSWORD 'plain'")
    try:
        await standby.follow()
        plain = await Database.open(standby.url_as("plain", "plain"), most=1, standby=True)
        async with plain.connection() as connection:
            assert await server.identity(connection) == primary
        await plain.close()
    finally:
        async with owner.connection() as connection:
            await connection.execute("DROP ROLE plain")
        await owner.close()


async def test_voketag_run_refuses_it_before_anything_starts(
    database_url: str, standby: Standby, tmp_path: Path
) -> None:
    urls = {
        "VOKETAG_DATABASE_URL": database_url,
        "VOKETAG_DATABASE_READ_URL": database_named(standby.url, "postgres"),
    }
    ports = dict.fromkeys(PORT_VARIABLES, "0")
    found = await voketag("run", environ=environment(tmp_path / "home", ports | urls))
    assert found.status == 2
    assert found.err.count("VOKETAG_DATABASE_READ_URL: this server holds another database") == 1


@pytest.mark.timeout(300)
async def test_the_whole_system_with_a_replica(
    database_url: str, standby: Standby, tmp_path: Path
) -> None:
    system = System(tmp_path / "home")
    system.environ["VOKETAG_DATABASE_URL"] = database_url
    system.environ["VOKETAG_DATABASE_READ_URL"] = standby.url
    try:
        await system.start()
        async with system.api() as api:
            _, (product,) = await push(api.factory(await join(api)), 1)
            scanned = await api.scan.scan(product.token, country="BR")
            assert scanned.verdict == "authentic"

            async def replica_is_asked_by_both() -> bool | None:
                async with (
                    aiohttp.ClientSession() as session,
                    session.get(f"{api.where.ops}/metrics") as response,
                ):
                    text = await response.text()
                answered = {
                    sample.labels["process"]
                    for family in text_string_to_metric_families(text)
                    for sample in family.samples
                    if sample.name == "voketag_replica_reads_total"
                    and sample.labels["outcome"] == "answered"
                }
                return True if {"scan", "factory"} <= answered else None

            await system.until("the replica was asked", replica_is_asked_by_both)
    finally:
        await system.close()
