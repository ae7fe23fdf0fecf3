"""What a section sees of a system that makes batches, whichever it is.

What became of batches is read from the system's own table, with the same statement for each
system: an API that is asked every millisecond would be measured along with the work.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

import aiohttp
import asyncpg

from voketag.stack.stack import Stack
from voketag.stack.supervise import Supervisor

LOOK_EVERY_S = 0.001
REST_EVERY_S = 0.05
_NOT_COMPLETED = "SELECT count(*) FROM batches WHERE status <> 'completed'"
_BODY = {"sku": "SHOE-42", "name": "Running shoe"}


class NotMade(Exception):
    """A batch was refused, failed, or did not get where it should within its time."""


@dataclass(frozen=True)
class Factory:
    """A system that runs. `id_column` names the id in its table `batches`, whose `status` goes from
    pending over processing (all products stored, with their root) to completed.
    """

    name: str
    url: str
    headers: Mapping[str, str]
    session: aiohttp.ClientSession
    database: asyncpg.Connection
    id_column: str
    servers: Stack
    programs: Supervisor
    program_names: tuple[str, ...]

    async def push(self, products: int) -> UUID:
        """Have a batch accepted. Its id. Raises NotMade."""
        body = {**_BODY, "product_count": products}
        async with self.session.post(self.url, json=body, headers=self.headers) as response:
            answer = await response.json()
            if response.status != 202:
                raise NotMade(f"{self.name} answered {response.status}: {answer}")
            return UUID(answer["batch_id"])

    async def reached(self, batch_ids: Collection[UUID], *statuses: str) -> set[UUID]:
        """Those of these batches that have one of these states. Raises NotMade for a failed one."""
        rows = await self.database.fetch(
            f"SELECT {self.id_column} AS id, status FROM batches "
            f"WHERE {self.id_column} = ANY($1) AND status <> 'pending'",
            list(batch_ids),
        )
        if any(row["status"] == "failed" for row in rows):
            raise NotMade(f"{self.name}: a batch failed")
        return {row["id"] for row in rows if row["status"] in statuses}

    async def until(
        self,
        batch_ids: Collection[UUID],
        *statuses: str,
        within_s: float,
        every_s: float = LOOK_EVERY_S,
    ) -> None:
        """Wait until all of these batches have one of these states. Raises NotMade."""
        left, deadline_s = set(batch_ids), time.monotonic() + within_s
        while left:
            left -= await self.reached(left, *statuses)
            if left and time.monotonic() > deadline_s:
                wanted = " or ".join(statuses)
                raise NotMade(f"{self.name}: {len(left)} batches not {wanted} in {within_s:g} s")
            await asyncio.sleep(every_s)

    async def rest(self, within_s: float) -> None:
        """Wait until every batch is completed, so that none shares what the next one waits for.
        Raises NotMade.
        """
        deadline_s = time.monotonic() + within_s
        while left := await self.database.fetchval(_NOT_COMPLETED):
            if time.monotonic() > deadline_s:
                raise NotMade(f"{self.name}: {left} batches not completed in {within_s:g} s")
            await asyncio.sleep(REST_EVERY_S)

    def pids(self, servers: bool = False) -> dict[str, int]:
        """The processes of the moment by name: its programs, and its servers if so asked."""
        named = {name: self.programs.pid(name) for name in self.program_names}
        if servers:
            named |= {name: self.servers.pid(name) for name in self.servers.servers}
        return {name: pid for name, pid in named.items() if pid is not None}
