"""Batches over HTTP: accepted, shown, listed, recalled."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter
from uuid import UUID

import msgspec
import structlog
from aiohttp.web import Request, Response

from producers.factory_access import authenticated, calling_factory
from voketag import events, identifiers, standing, traces
from voketag.batches import submission
from voketag.batches.answers import Batch, BatchPage, BatchReceipt
from voketag.batches.examples import NEW_BATCHES
from voketag.batches.listing import ListQuery, read_created_after
from voketag.batches.submission import CheckedBatch, NewBatch, NewBatchBody, Recall
from voketag.cursors import page_of, read_cursor
from voketag.errors import Conflict, InvalidField, Unavailable
from voketag.events import BatchAccepted
from voketag.http.problems import Problem, not_found
from voketag.http.requests import decode_body, path_id, read_body, read_bytes, read_query
from voketag.http.routes import Handler, Route, json_response
from voketag.probes import RateLimit
from voketag.process import Wires
from voketag.records import batches, serials
from voketag.records.batches import Known, Origin
from voketag.redis import batch_cache
from voketag.traces import RequestSpan, Tracer

Create = Callable[[Request, RequestSpan | None], Awaitable[Response]]
LARGE_BODY_BYTES = 1024 * 1024
_IDEMPOTENCY = {
    "Idempotency-Key": {
        "description": "The same key and body make one batch, however often they are sent.",
        "minLength": 1,
        "maxLength": 255,
        "pattern": "^[!-~]+$",
    }
}
_new_batch = msgspec.json.Decoder(NewBatch)
_recall = msgspec.json.Decoder(Recall)
log = structlog.get_logger()


def routes(wires: Wires) -> Sequence[Route]:
    """The routes of batches."""
    create = _creating(wires)
    get, every = partial(get_batch, wires), partial(list_batches, wires)
    recall = partial(recall_batch, wires)
    one = "/v1/batches/{id}"
    return (
        Route(
            "POST",
            "/v1/batches",
            create,
            "Make a batch of products",
            {202: BatchReceipt},
            body=NewBatchBody,
            examples=NEW_BATCHES,
            headers=_IDEMPOTENCY,
            problems=(409,),
            security="factory",
        ),
        Route(
            "GET",
            "/v1/batches",
            every,
            "This factory's batches, the newest first",
            {200: BatchPage},
            query=ListQuery,
            security="factory",
        ),
        Route("GET", one, get, "A batch and its anchor", {200: Batch}, security="factory"),
        Route(
            "POST",
            one + "/recall",
            recall,
            "Recall a batch: whoever scans one of its products is told",
            {200: Batch},
            body=Recall,
            security="factory",
        ),
    )


# ---------------------------------------------------------------------- accepting


def _creating(wires: Wires) -> Handler:
    limit = RateLimit(wires.settings.batch_rate_limit)
    create = partial(create_batch, wires, asyncio.Lock(), limit)
    return partial(_traced, wires.tracer("factory"), create)


async def _traced(tracer: Tracer, create: Create, request: Request) -> Response:
    """Create a batch, and trace it where that is asked for or its turn."""
    span = tracer.request("POST", "/v1/batches", request.headers.get(traces.FIELD))
    if span is None:
        return await create(request, None)
    with span:
        return await create(request, span)


async def create_batch(
    wires: Wires,
    large_body: asyncio.Lock,
    limit: RateLimit,
    request: Request,
    span: RequestSpan | None,
) -> Response:
    """POST /v1/batches: store the batch, announce it, promise it."""
    factory_id = await calling_factory(wires, request)
    _hold_to(limit, factory_id, wires.settings.batch_rate_limit)
    idempotency_key = submission.check_idempotency_key(request.headers.get("Idempotency-Key"))
    async with _room_for(request, large_body):
        raw = await read_bytes(request, submission.BODY_MAX_BYTES)
        origin = Origin(factory_id, idempotency_key, hashlib.sha256(raw).digest())
        new = decode_body(raw, _new_batch)
        del raw  # up to 32 MiB, which the decoded serials do not need
        receipt, known = await _accept(wires, origin, submission.check(new, datetime.now(UTC)))
    if known is None or known.status == "pending":
        await _announce(wires, receipt.batch_id, span)
    headers = {"Location": f"/v1/batches/{receipt.batch_id}"}
    if known is not None:
        headers["Idempotent-Replayed"] = "true"
    return json_response(receipt, 202, headers)


def _hold_to(limit: RateLimit, factory_id: UUID, most: int) -> None:
    """Count a batch of a factory, whichever of its keys it used. Raises Problem 429."""
    wait_ms = limit.wait_ms(str(factory_id), time.time_ns() // 1_000_000)
    if wait_ms:
        wait_s = max(1, -(-wait_ms // 1000))
        detail = f"{most} batches a minute are accepted from one factory; wait {wait_s} s."
        raise Problem(429, "too_many_batches", detail, {"Retry-After": str(wait_s)})


@contextlib.asynccontextmanager
async def _room_for(request: Request, large_body: asyncio.Lock) -> AsyncIterator[None]:
    """Large bodies one at a time: a million serials take 100 MB until they are stored."""
    length = request.content_length
    if length is not None and length <= LARGE_BODY_BYTES:
        yield
        return
    async with large_body:
        yield


async def _accept(
    wires: Wires, origin: Origin, batch: CheckedBatch
) -> tuple[BatchReceipt, Known | None]:
    """Store a batch, or find the one that its Idempotency-Key stands for, which is given too."""
    batch_id = identifiers.new_id()
    token_key_id = wires.settings.token_keys.signing.key_id
    try:
        async with wires.database.transaction() as connection:
            fresh = await batches.insert(connection, batch_id, batch, origin, token_key_id)
            if fresh and batch.serials is not None:
                await serials.add(connection, batch_id, origin.factory_id, batch.sku, batch.serials)
    except serials.SerialsTaken:
        await _refuse_serials(wires, origin.factory_id, batch)
    if fresh:
        return BatchReceipt(batch_id, "pending", batch.product_count), None
    assert origin.idempotency_key is not None
    async with wires.database.connection() as connection:
        known = await batches.known(connection, origin.factory_id, origin.idempotency_key)
    if known is None:
        raise Conflict("the batch of an Idempotency-Key has vanished")
    if known.request_hash != origin.request_hash:
        raise InvalidField(
            "Idempotency-Key",
            "This Idempotency-Key was used with another body; a new batch needs a new key.",
            "idempotency_key_reused",
        )
    return BatchReceipt(known.batch_id, "pending", known.product_count), known


async def _refuse_serials(wires: Wires, factory_id: UUID, batch: CheckedBatch) -> None:
    """Say which serials cannot be taken. Raises InvalidField or Problem 409."""
    given = batch.serials or ()
    twice = await asyncio.to_thread(submission.duplicates, given)
    if twice:
        raise InvalidField(
            "serials",
            f"A serial may stand in a batch once; found more often: {_quoted(twice)}.",
            "duplicate_serial",
        )
    async with wires.database.connection() as connection:
        taken = await serials.taken(connection, factory_id, batch.sku, given)
    raise Problem(
        409,
        "serial_already_used",
        f"Serials are used once for a factory and SKU; in use already: {_quoted(taken)}.",
    )


def _quoted(values: Sequence[str]) -> str:
    return ", ".join(msgspec.json.encode(value).decode() for value in values)


async def _announce(wires: Wires, batch_id: UUID, span: RequestSpan | None) -> None:
    """Tell the register group. Postgres holds the batch: should this fail, maintain tells again."""
    stream = events.batches(events.shard_of(batch_id, wires.settings.shards))
    try:
        fields = events.encode(BatchAccepted(batch_id))
        if span is None:
            await wires.streams.publish(stream, fields)
        else:
            with span.sending(stream) as traceparent:
                await wires.streams.publish(stream, fields | traces.carried(traceparent))
    except Unavailable as error:
        log.warning("batch not announced yet", batch_id=str(batch_id), error=str(error))


# ---------------------------------------------------------------------- showing


async def get_batch(wires: Wires, request: Request) -> Response:
    """GET /v1/batches/{id}"""
    factory_id = await calling_factory(wires, request)
    batch_id = path_id(request)
    batch = await batch_cache.get(wires.streams.redis, batch_id)
    if batch is not None and batch.factory_id == factory_id:
        return json_response(batch)
    async with wires.database.connection() as connection:
        batch = await batches.view(connection, factory_id, batch_id)
    if batch is None:
        raise not_found()
    await batch_cache.offer(wires.streams.redis, batch)
    return json_response(batch)


async def list_batches(wires: Wires, request: Request) -> Response:
    """GET /v1/batches"""
    async with authenticated(wires, request) as (connection, factory_id):
        query = read_query(request, ListQuery)
        created_after = read_created_after(query.created_after)
        after = read_cursor(query.cursor)
        found = await batches.page(
            connection,
            factory_id,
            status=query.status,
            created_after=created_after,
            after=after,
            limit=query.limit + 1,  # one more, to know whether there is a next page
        )
    shown, next_cursor = page_of(found, query.limit, attrgetter("batch_id"))
    return json_response(BatchPage(tuple(shown), next_cursor))


# ---------------------------------------------------------------------- recalling


async def recall_batch(wires: Wires, request: Request) -> Response:
    """POST /v1/batches/{id}/recall: in Postgres first; a repeat does the rest where it failed."""
    factory_id = await calling_factory(wires, request)
    batch_id = path_id(request)
    reason = submission.check_reason(await read_body(request, _recall))
    batch = await standing.recall(wires, batch_id, reason, factory_id=factory_id)
    if batch is None:
        raise not_found()
    return json_response(batch)
