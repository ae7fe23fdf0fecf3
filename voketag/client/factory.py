"""The client of the factory service: what an ERP does."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import aiohttp
import msgspec

from voketag import identifiers
from voketag.batches.answers import Batch, BatchEvent, BatchPage, BatchReceipt, ProductLine
from voketag.batches.listing import Status
from voketag.client.errors import ApiError, BatchFailed, TransportError, UnexpectedAnswer
from voketag.client.sse import EventReader
from voketag.client.transport import Answer, Call, HttpClient, encoded, segment
from voketag.client.waiting import until
from voketag.proofs import Proof

PAGE = 100
WAIT_TIMEOUT_S = 120.0
SILENCE_MAX_S = 45.0  # the service says something every 15 s, if only that it is there
Reached = Literal["processing", "completed"]


class Reconnected(msgspec.Struct, frozen=True):
    """The feed of events was interrupted here: some may be missing."""


class FactoryClient(HttpClient):
    """`FactoryClient("https://factory.example.com", api_key)`; see HttpClient for the rest."""

    async def create_batch(
        self,
        *,
        sku: str,
        name: str,
        product_count: int | None = None,
        serials: Sequence[str] | None = None,
        manufactured_at: datetime | date | None = None,
        destination_countries: Sequence[str] = (),
        attributes: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> BatchReceipt:
        """Make a batch of so many products, or of products with these serials.

        It is made once however often this call has to send it. `idempotency_key` is for making it
        once across calls too, such as after a restart: an order number, which stands for the same
        batch for ever. A `manufactured_at` with a time has to have a time zone.
        """
        body = encoded(
            {
                "sku": sku,
                "name": name,
                "product_count": product_count,
                "serials": serials,
                "manufactured_at": manufactured_at,
                "destination_countries": tuple(destination_countries),
                "attributes": attributes,
            }
        )
        key = idempotency_key if idempotency_key is not None else identifiers.new_text()
        call = Call("POST", "/v1/batches", body=body, headers={"Idempotency-Key": key})
        return (await self.ask(call)).as_a(BatchReceipt)

    async def batch(self, batch_id: UUID | str) -> Batch:
        """A batch and its anchor."""
        return (await self.ask(Call("GET", f"/v1/batches/{segment(batch_id)}"))).as_a(Batch)

    async def batches(
        self, status: Status | None = None, created_after: datetime | None = None
    ) -> AsyncGenerator[Batch]:
        """This factory's batches, the newest first, asked for page by page."""
        query = {"limit": str(PAGE)}
        if status is not None:
            query["status"] = status
        if created_after is not None:
            query["created_after"] = created_after.isoformat()
        while True:
            answer = await self.ask(Call("GET", "/v1/batches", query=query))
            page = answer.as_a(BatchPage)
            for batch in page.batches:
                yield batch
            if page.next_cursor is None:
                return
            query["cursor"] = page.next_cursor

    async def wait_for(
        self,
        batch_id: UUID | str,
        status: Reached,
        *,
        timeout_s: float = WAIT_TIMEOUT_S,
        every_s: float = 0.5,
    ) -> Batch:
        """The batch once it is `processing` (its products are stored) or `completed` (its root is
        final on the chain), asked every so many seconds.

        Raises BatchFailed, and WaitTimeout after `timeout_s`.
        """

        async def reached() -> Batch | None:
            batch = await self.batch(batch_id)
            if batch.status == "failed":
                raise BatchFailed(f"batch {batch_id} failed: it has no products")
            return batch if batch.status in ("completed", status) else None

        return await until(f"batch {batch_id} {status}", reached, timeout_s, every_s)

    async def recall(self, batch_id: UUID | str, reason: str) -> Batch:
        """Recall a batch: whoever scans one of its products is told. Again does no harm."""
        path = f"/v1/batches/{segment(batch_id)}/recall"
        answer = await self.ask(Call("POST", path, body=encoded({"reason": reason})))
        return answer.as_a(Batch)

    async def proof(self, product_id: UUID | str) -> Proof:
        """The proof of a product's origin; `voketag.proofs.check` checks it."""
        return (await self._proof(product_id)).as_a(Proof)

    async def proof_bundle(self, product_id: UUID | str) -> bytes:
        """The same as the file to hand on, byte for byte."""
        return (await self._proof(product_id)).body

    async def _proof(self, product_id: UUID | str) -> Answer:
        return await self.ask(Call("GET", f"/v1/products/{segment(product_id)}/proof"))

    # ------------------------------------------------------------------ what is streamed

    async def products(self, batch_id: UUID | str) -> AsyncGenerator[ProductLine]:
        """A batch's products with their tokens, one after another as they come, in their order.

        Where the answer is cut off it is asked for again, and goes on after the last one. The time
        of `timeout_s` begins anew with each product.
        """
        accept = {"Accept": "application/x-ndjson"}
        call = Call("GET", f"/v1/batches/{segment(batch_id)}/products", headers=accept)
        given, patience, whole = 0, self._patience(), False
        while not whole:
            try:
                passed = 0
                async with self._sent(call, self._silent_for(self._attempt_timeout_s)) as response:
                    async for line in response.content:
                        passed += 1
                        if passed > given:
                            given, patience = passed, self._patience()
                            yield _decoded(call, line, ProductLine)
                whole = True
            except ApiError as error:
                await self._pause(call, patience, error)

    async def events(self) -> AsyncGenerator[BatchEvent | Reconnected]:
        """What happens to this factory's batches, from now on and for ever.

        Where the connection is lost it is made again, and Reconnected is given: some events may
        have been missed, so ask for the batches that matter. Raises ApiError where there is no
        connection for `timeout_s`, or the key is not valid any more.
        """
        reader, begun, patience = EventReader(), False, self._patience()
        while True:
            call = Call("GET", "/v1/events", headers=_resuming(reader))
            try:
                async with self._sent(call, self._silent_for(SILENCE_MAX_S)) as response:
                    if begun:
                        yield Reconnected()
                    begun, patience = True, self._patience()
                    async for line in response.content:
                        event = reader.line(line)
                        if event is not None:
                            yield _decoded(call, event.data.encode(), BatchEvent)
                raise TransportError("GET /v1/events", EOFError("the stream ended"), sent=True)
            except ApiError as error:
                await self._pause(call, patience, error)

    def _silent_for(self, most_s: float) -> aiohttp.ClientTimeout:
        """The bounds of an answer that goes on for as long as it says something."""
        return aiohttp.ClientTimeout(sock_connect=self._attempt_timeout_s, sock_read=most_s)


def _resuming(reader: EventReader) -> dict[str, str]:
    """The headers that ask for what follows the last event that was read."""
    last = {"Last-Event-ID": reader.last_id} if reader.last_id else {}
    return {"Accept": "text/event-stream", **last}


def _decoded(call: Call, line: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        said = f"{call.method} {call.path}: not a {kind.__name__}: {error}"
        raise UnexpectedAnswer(said) from error
