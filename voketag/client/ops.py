"""The client of the ops service, for who holds the admin key."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from uuid import UUID

from voketag.administration import (
    Factory,
    FactoryPage,
    NewFactoryAnswer,
    NewKeyAnswer,
    StatsAnswer,
    Stream,
    StreamsAnswer,
)
from voketag.client.transport import Call, HttpClient, encoded, segment


class OpsClient(HttpClient):
    """`OpsClient("https://ops.example.com", admin_key)`; see HttpClient for other parameters.

    Making a factory or a key is not sent again where the answer was lost: it may have been made.
    """

    async def create_factory(self, name: str, email: str) -> NewFactoryAnswer:
        """Make a factory and its first API key, which is shown this once."""
        body = encoded({"name": name, "email": email})
        answer = await self.ask(Call("POST", "/v1/factories", repeatable=False, body=body))
        return answer.as_a(NewFactoryAnswer)

    async def factory(self, factory_id: UUID | str) -> Factory:
        """A factory and its keys."""
        answer = await self.ask(Call("GET", f"/v1/factories/{segment(factory_id)}"))
        return answer.as_a(Factory)

    async def factories(self) -> AsyncGenerator[Factory]:
        """Every factory, the oldest first."""
        cursor: str | None = ""
        while cursor is not None:
            query = {"cursor": cursor} if cursor else {}
            answer = await self.ask(Call("GET", "/v1/factories", query=query))
            page = answer.as_a(FactoryPage)
            for factory in page.factories:
                yield factory
            cursor = page.next_cursor

    async def create_key(
        self, factory_id: UUID | str, expires_at: datetime | None = None
    ) -> NewKeyAnswer:
        """Make one more key for a factory, valid until `expires_at`, or until it is revoked."""
        call = Call(
            "POST",
            f"/v1/factories/{segment(factory_id)}/keys",
            repeatable=False,
            body=encoded({"expires_at": expires_at}),
        )
        return (await self.ask(call)).as_a(NewKeyAnswer)

    async def revoke_key(self, key_id: UUID | str) -> None:
        """Make a key unusable from now on; again does no harm."""
        await self.ask(Call("DELETE", f"/v1/keys/{segment(key_id)}"))

    async def streams(self) -> tuple[Stream, ...]:
        """How every stream and its groups stand."""
        answer = await self.ask(Call("GET", "/v1/streams"))
        return answer.as_a(StreamsAnswer).streams

    async def stats(self) -> StatsAnswer:
        """Today, the last 30 days, and today's most scanned products."""
        return (await self.ask(Call("GET", "/v1/stats"))).as_a(StatsAnswer)

    async def metrics(self) -> str:
        """The metrics of every process, as Prometheus reads them."""
        return (await self.ask(Call("GET", "/metrics"))).body.decode()
