"""Traces of a scan and of a batch through the real processes; and that they cost nothing when off,
and no scan ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from consumers import score
from tests.collector import Collector, collecting
from tests.factory_floor import running, settings_for, store_product, token_of
from tests.flow import push, recorded
from tests.phones import Phone, phone_on
from tests.servers import eventually
from tests.source import REPOSITORY
from tests.system import System
from voketag import events, identifiers, metrics
from voketag.process import open_wires
from voketag.tracing import span_queue
from voketag.tracing.tracer import GIVEN_MAX_PER_S, Traces

SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5
NOWHERE = "http://127.0.0.1:1/v1/traces"
FIELDS = ["v", "event", "product", "history", "tail", "signals"]


def trace() -> tuple[str, str, dict[str, str]]:
    """A trace that somebody else has begun: its id, their span's, and the header that says so."""
    trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
    return trace_id, span_id, {"traceparent": f"00-{trace_id}-{span_id}-01"}


def lost(cause: str) -> float:
    return metrics.REGISTRY.get_sample_value("voketag_spans_lost_total", {"cause": cause}) or 0


# ---------------------------------------------------------------------- the whole way


@pytest.mark.timeout(180)
async def test_a_scan_and_a_batch_are_followed_from_process_to_process(tmp_path: Path) -> None:
    with collecting() as collector:
        variables = {"VOKETAG_TRACES_URL": collector.url, "VOKETAG_TRACES_RATIO": "0"}
        system = System(tmp_path / "home", variables)
        try:
            await system.start()
            await _scan_is_followed(system, collector)
            await _batch_is_followed(system, collector)
            await system.end(signal.SIGTERM)
        finally:
            await system.close()


async def _scan_is_followed(system: System, collector: Collector) -> None:
    trace_id, phone, header = trace()
    async with system.api() as api, aiohttp.ClientSession() as session:
        joined = await api.ops.create_factory("Acme", "orders@acme.example")
        _, products = await push(api.factory(joined.api_key), 5)
        token = products[0].token
        body = {"token": token, "country": "BR", "device": {"install_id": "a-phone-of-mine"}}
        url = f"http://127.0.0.1:{system.settings.scan_port}/v1/scans"
        async with session.post(url, json=body, headers=header) as response:
            answer = await response.json()
        await recorded(system, api, UUID(answer["scan_id"]))

    def sends() -> list[str]:
        return [s.name for s in collector.of_trace(trace_id) if s.name.startswith("send ")]

    # A product that Redis does not know yet takes a second round trip.
    await eventually(lambda: len(collector.of_trace(trace_id)) == 6)
    stream = sends()[0].removeprefix("send ")
    scored = stream.replace("scans", "scored")
    spans = {span.span_id: span for span in collector.of_trace(trace_id)}
    asked = collector.one(trace_id, "scan", "POST /v1/scans")
    judged = collector.one(trace_id, "score", f"process {stream}")
    kept = collector.one(trace_id, "persist", f"process {scored}")
    row = collector.one(trace_id, "persist", "COPY scan_events")
    assert sends() == [f"send {stream}"] * 2
    assert asked.parent_id == phone
    sent = spans[judged.parent_id]
    assert (sent.service, sent.name, sent.parent_id) == (
        "voketag-scan",
        f"send {stream}",
        asked.span_id,
    )
    assert kept.parent_id == judged.span_id
    assert row.parent_id == kept.span_id
    kinds = [span.kind for span in (asked, sent, judged, kept, row)]
    assert kinds == [SERVER, PRODUCER, CONSUMER, CONSUMER, CLIENT]
    assert judged.attributes["messaging.consumer.group.name"] == "score"
    assert row.attributes["db.collection.name"] == "scan_events"
    for span in (judged, kept):
        await _linked_to_its_batch(collector, span.trace_id, span.span_id)
    for secret in (token, "a-phone-of-mine", "127.0.0.1", "aiohttp"):
        assert secret.encode() not in collector.raw


async def _linked_to_its_batch(collector: Collector, trace_id: str, span_id: str) -> None:
    """The batch has a trace of its own, and it and its entries know each other."""
    (span,) = [span for span in collector.spans if span.span_id == span_id]
    ((batch_trace, batch_span),) = span.links
    assert batch_trace != trace_id
    (batch,) = [span for span in collector.spans if span.span_id == batch_span]
    assert batch.parent_id == ""
    assert (trace_id, span.parent_id) in batch.links
    assert batch.attributes["messaging.batch.message_count"] >= 1


async def _batch_is_followed(system: System, collector: Collector) -> None:
    trace_id, erp, header = trace()
    async with system.api() as api, aiohttp.ClientSession() as session:
        joined = await api.ops.create_factory("Other", "orders@other.example")
        url = f"http://127.0.0.1:{system.settings.factory_port}/v1/batches"
        header["Authorization"] = f"Bearer {joined.api_key}"
        body = {"product_count": 3, "sku": "HAT-1", "name": "Hat"}
        async with session.post(url, json=body, headers=header) as response:
            assert response.status == 202
    await eventually(lambda: len(collector.of_trace(trace_id)) == 5, 30)
    (sent,) = [s for s in collector.of_trace(trace_id) if s.name.startswith("send batches:")]
    asked = collector.one(trace_id, "factory", "POST /v1/batches")
    registered = collector.one(trace_id, "register", sent.name.replace("send", "process"))
    assert asked.parent_id == erp
    assert sent.parent_id == asked.span_id
    assert registered.parent_id == sent.span_id
    for process, stream in (("anchor", "roots"), ("notify", "notices")):
        assert collector.one(trace_id, process, f"process {stream}").parent_id == registered.span_id


# ---------------------------------------------------------------------- off

LOADED = """
import asyncio, os, sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(name)
if sys.argv[1] == "missing":
    sys.meta_path.insert(0, Missing())
from consumers import anchor, maintain, notify, persist, register, score
from producers import factory, scan
from voketag import process, settings
from voketag.ops import api
async def main():
    async with process.open_wires(settings.load(os.environ), database=True, chain=True) as wires:
        loaded = [name for name in sys.argv[2:] if name in sys.modules]
        print(wires.tracer("scan").on, *loaded)
asyncio.run(main())
"""
# The Redis client loads a part of OpenTelemetry by itself wherever it is installed: not these.
OURS = ("voketag.tracing", "opentelemetry.sdk.trace", "opentelemetry.exporter", "google.protobuf")


@pytest.mark.parametrize(
    ("installed", "url", "said"),
    [
        ("installed", "", "False\n"),
        ("missing", "", "False\n"),
        ("installed", NOWHERE, f"True {' '.join(OURS)}\n"),
    ],
)
def test_nothing_is_loaded_unless_it_is_asked_for(installed: str, url: str, said: str) -> None:
    environ = {
        "VOKETAG_REDIS_URL": "redis://127.0.0.1:1/0",
        "VOKETAG_DATABASE_URL": "postgresql://127.0.0.1:1/none",
        "VOKETAG_CHAIN_URL": "http://127.0.0.1:1",
        "VOKETAG_ADMIN_KEY": "vta_TESTTESTTESTTEST",
        "VOKETAG_TOKEN_KEYS": "1:" + "11" * 32,
        "VOKETAG_HASH_KEY": "22" * 32,
        "VOKETAG_TRACES_URL": url,
    }
    command = [sys.executable, "-c", LOADED, installed, *OURS]
    done = subprocess.run(command, env=environ, cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, said), done.stderr


@contextlib.asynccontextmanager
async def scanned(
    redis_url: str, database_url: str, headers: dict[str, str], **changed: str
) -> AsyncIterator[tuple[Phone, dict[str, Any]]]:
    """A phone that has scanned a product once."""
    async with phone_on(redis_url, database_url, **changed) as phone:
        product = await store_product(phone.wires)
        token = token_of(phone.wires, product.product_id)
        status, answer, _ = await phone.post("/v1/scans", {"token": token}, headers=headers)
        assert status == 200, answer
        yield phone, answer


async def entries(phone: Phone, kind: Any) -> list[dict[str, bytes]]:
    found: list[dict[str, bytes]] = []
    for shard in range(phone.wires.settings.shards):
        raw: Any = await phone.wires.streams.redis.xrange(kind(shard))
        found += [{name.decode(): value for name, value in fields.items()} for _, fields in raw]
    return found


@pytest.mark.parametrize(
    ("changed", "flags", "traced"),
    [
        ({}, "01", False),
        ({"TRACES_URL": NOWHERE, "TRACES_RATIO": "0"}, None, False),
        ({"TRACES_URL": NOWHERE, "TRACES_RATIO": "1"}, "00", False),  # the caller wants none
        ({"TRACES_URL": NOWHERE, "TRACES_RATIO": "0"}, "01", True),
        ({"TRACES_URL": NOWHERE, "TRACES_RATIO": "1"}, None, True),
    ],
)
async def test_an_entry_is_what_it_was_but_for_the_trace_it_belongs_to(
    redis_url: str, database_url: str, changed: dict[str, str], flags: str | None, traced: bool
) -> None:
    headers = {} if flags is None else {"traceparent": trace()[2]["traceparent"][:-2] + flags}
    async with scanned(redis_url, database_url, headers, **changed) as (phone, answer):
        (entry,) = await entries(phone, events.scans)
        assert list(entry) == FIELDS + ["traceparent"] * traced
        assert events.decode(entry, events.Scan).scan_id.hex == answer["scan_id"].replace("-", "")
        settings = settings_for(redis_url, database_url, **changed)
        async with open_wires(settings) as wires, running(wires, score.build(wires)):

            async def handed_on() -> bool:
                return len(await entries(phone, events.scored)) == 1

            await eventually(handed_on)
        (scored,) = await entries(phone, events.scored)
        assert list(scored) == ["v", "event"] + ["traceparent"] * traced
        if traced:
            assert scored["traceparent"][:35] == entry["traceparent"][:35]  # the same trace
            assert scored["traceparent"] != entry["traceparent"]
        assert b"traceparent" not in entry["event"] + scored["event"]


async def test_a_group_that_traces_nothing_takes_traced_entries(
    redis_url: str, database_url: str
) -> None:
    """Of two versions beside each other the older one does not know the field."""
    async with scanned(
        redis_url, database_url, trace()[2], TRACES_URL=NOWHERE, TRACES_RATIO="0"
    ) as (phone, _):
        settings = settings_for(redis_url, database_url)
        async with open_wires(settings) as wires, running(wires, score.build(wires)):

            async def handed_on() -> bool:
                return len(await entries(phone, events.scored)) == 1

            await eventually(handed_on)
        (scored,) = await entries(phone, events.scored)
        assert list(scored) == ["v", "event"]


async def test_a_repeat_is_answered_as_before_and_belongs_to_its_own_trace(
    redis_url: str, database_url: str
) -> None:
    with collecting() as collector:
        async with scanned(redis_url, database_url, {}, TRACES_URL=collector.url) as (phone, _):
            product = await store_product(phone.wires)
            body = {
                "token": token_of(phone.wires, product.product_id),
                "scan_id": str(identifiers.new_id()),
            }
            told = []
            for _ in range(2):
                trace_id, _, header = trace()
                told.append((await phone.post("/v1/scans", body, headers=header))[1])
            assert told[0] == told[1]
            assert len(await entries(phone, events.scans)) == 2
        await eventually(lambda: len(collector.of_trace(trace_id)) == 2)


# ---------------------------------------------------------------------- whoever collects is away


async def test_a_scan_is_answered_though_nobody_takes_its_trace(
    redis_url: str, database_url: str
) -> None:
    before = lost("export")
    async with scanned(redis_url, database_url, {}, TRACES_URL=NOWHERE, TRACES_RATIO="1"):
        await eventually(lambda: lost("export") > before, 30)


async def test_a_collector_that_never_answers_holds_up_nothing(
    redis_url: str, database_url: str
) -> None:
    """Neither a scan, nor what it fills, nor the end of the process."""
    connected = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        while await reader.read(65_536):  # until the other end has enough
            pass
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    before = lost("queue")
    url = f"http://127.0.0.1:{port}/v1/traces"
    try:
        async with scanned(redis_url, database_url, {}, TRACES_URL=url, TRACES_RATIO="1") as (
            phone,
            answer,
        ):
            assert answer["verdict"] == "authentic"
            await asyncio.wait_for(connected.wait(), 30)
            tracer = phone.wires.tracer("scan")
            for _ in range(span_queue.WAITING_MAX + span_queue.BATCH + 1):
                span = tracer.request("POST", "/v1/scans", None)
                assert span is not None
                with span:
                    pass
            assert lost("queue") > before
            product = await store_product(phone.wires)
            await phone.scan(token_of(phone.wires, product.product_id))
    finally:
        server.close()
        await eventually(lambda: not [t for t in asyncio.all_tasks() if "silent" in repr(t)])


# ---------------------------------------------------------------------- what is traced


def test_strangers_can_ask_for_so_many_traces() -> None:
    with collecting() as collector:
        made = Traces(collector.url, 0.0, "a-test")
        tracer = made.tracer("scan")
        asked = [
            tracer.request("POST", "/v1/scans", trace()[2]["traceparent"])
            for _ in range(GIVEN_MAX_PER_S * 4)
        ]
        kept = [span for span in asked if span is not None]
        # A second may have ended on the way, and another begun.
        assert GIVEN_MAX_PER_S <= len(kept) <= GIVEN_MAX_PER_S * 2
        for span in kept:
            with span:
                pass
        made.close()
        assert len(collector.spans) == len(kept)


async def test_what_fails_says_what_kind_of_failure_and_no_more(
    redis_url: str, database_url: str
) -> None:
    with collecting() as collector:
        async with phone_on(
            redis_url, database_url, TRACES_URL=collector.url, TRACES_RATIO="0"
        ) as phone:
            trace_id, _, header = trace()
            body = {"token": "0" * 20, "country": "ZZ"}
            status, _, _ = await phone.post("/v1/scans", body, headers=header)
            assert status == 422
        span = collector.one(trace_id, "scan", "POST /v1/scans")
        assert span.attributes["error.type"] == "InvalidField"
        assert not span.failed  # it is the caller's
        assert "0" * 20 not in str(span)
