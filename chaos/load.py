"""The load: phones that scan and try again until they are answered, an ERP that pushes batches,
forgers, and people who report.

Whatever is about to be sent stands in the ledger first, and whatever was answered as accepted right
after. A thing that never was answered may have been accepted or not: both are right.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import msgspec

from chaos.ledger import Ledger
from voketag import identifiers
from voketag.batches.answers import BatchReceipt
from voketag.client.transport import Call
from voketag.ops.clients import USER_AGENT, Clients, Urls

TIMEOUT_S = 8.0
RETRY_MIN_S = 0.05
RETRY_MAX_S = 1.0
IN_FLIGHT_MOST = 256
BATCH_EVERY_S = 0.5
# Of a hundred scans: sent again after they were answered, without an id of the phone's own,
# forged, and followed by a report.
REPEATED, ANONYMOUS, FORGED, REPORTED = 10, 10, 5, 2
COUNTRIES = ("BR", "PT", "DE", "JP", "US")


@dataclass
class Load:
    """What is sent, to whom, and what came back instead of an answer.

    `refusals` counts, by status or by the error's name, answers that were no acceptance.
    """

    where: Urls
    key: str
    tokens: list[str]
    ledger: Ledger
    chance: random.Random
    session: aiohttp.ClientSession
    refusals: Counter[str] = field(default_factory=Counter)
    _sending: set[asyncio.Task[None]] = field(default_factory=set)
    _ending: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, scans_per_s: float) -> None:
        """Send until cancelled, at a constant rate whatever the answers take."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._every(1 / scans_per_s, self.scan_once))
            group.create_task(self._every(BATCH_EVERY_S, self.push_once))

    async def finish(self) -> None:
        """Let what is being sent be answered, without trying anything again."""
        self._ending.set()
        await asyncio.gather(*self._sending, return_exceptions=True)

    async def _every(self, interval_s: float, send: Callable[[], Awaitable[object]]) -> None:
        clock = asyncio.get_running_loop().time
        due_s = clock()
        while True:
            due_s = max(due_s + interval_s, clock() - 1.0)  # what was missed for long is let go
            await asyncio.sleep(due_s - clock())
            if len(self._sending) < IN_FLIGHT_MOST:
                task = asyncio.create_task(self._alone(send))
                self._sending.add(task)
                task.add_done_callback(self._sending.discard)

    async def _alone(self, send: Callable[[], Awaitable[object]]) -> None:
        await send()

    # ------------------------------------------------------------------ phones

    async def scan_once(self) -> UUID | None:
        """One scan by one phone; gives its id once it is accepted, None where it was given up."""
        dice = self.chance.randrange(100)
        token = self.chance.choice(self.tokens)
        body: dict[str, Any] = {
            "token": token,
            "country": self.chance.choice(COUNTRIES),
            "device": {"install_id": f"phone-{self.chance.randrange(500)}"},
        }
        if dice < FORGED:
            await self._forge(body)
            return None
        if dice < FORGED + ANONYMOUS:
            return await self._scan_without_id(body)
        scan_id = identifiers.new_id()
        self.ledger.write("scan", "attempted", str(scan_id))
        body["scan_id"] = str(scan_id)
        answer = await self._persist(lambda: self._post(f"{self.where.scan}/v1/scans", body, 200))
        if answer is None:
            return None
        self.ledger.write("scan", "accepted", str(scan_id))
        if dice >= 100 - REPEATED:
            await self._repeat(str(scan_id), body, answer)
        elif dice >= 100 - REPEATED - REPORTED:
            await self._report(str(scan_id), token)
        return scan_id

    async def _scan_without_id(self, body: dict[str, Any]) -> UUID | None:
        """A phone that names no id can only try once: what is not answered may be stored."""
        name = uuid4().hex
        self.ledger.write("anonymous", "attempted", name)
        answer = await self._post(f"{self.where.scan}/v1/scans", body, 200)
        if answer is None:
            return None
        self.ledger.write("anonymous", "accepted", name, answer["scan_id"])
        return UUID(answer["scan_id"])

    async def _repeat(self, scan_id: str, body: dict[str, Any], first: dict[str, Any]) -> None:
        """The same scan again has to get the same answer."""
        answer = await self._persist(lambda: self._post(f"{self.where.scan}/v1/scans", body, 200))
        if answer is not None:
            self.ledger.write("scan", "repeated" if answer == first else "changed", scan_id)

    async def _forge(self, body: dict[str, Any]) -> None:
        token = body["token"]
        wrong = "0" if token[-8] != "0" else "1"
        answer = await self._post(
            f"{self.where.scan}/v1/scans", {**body, "token": token[:-8] + wrong + token[-7:]}, 200
        )
        if answer is not None and answer["verdict"] != "not_recognised":
            self.ledger.write("forged", "accepted", answer["scan_id"])

    async def _report(self, scan_id: str, token: str) -> None:
        name = uuid4().hex
        self.ledger.write("report", "attempted", name)
        body = {"token": token, "reason": "damaged", "description": f"{name} of scan {scan_id}"}
        answer = await self._post(f"{self.where.scan}/v1/reports", body, 202)
        if answer is not None:
            self.ledger.write("report", "accepted", name, answer["report_id"])

    # ------------------------------------------------------------------ an ERP

    async def push_once(self) -> str | None:
        """One batch by one ERP, again under the same key until it is accepted; gives its id."""
        name, count = uuid4().hex, self.chance.randrange(1, 30)
        self.ledger.write("batch", "attempted", name, count=count)
        body = {"product_count": count, "sku": "HAT-1", "name": "Hat"}
        headers = {"Authorization": f"Bearer {self.key}", "Idempotency-Key": name}
        url = f"{self.where.factory}/v1/batches"
        answer = await self._persist(lambda: self._post(url, body, 202, headers))
        if answer is None:
            return None
        self.ledger.write("batch", "accepted", name, answer["batch_id"], count)
        if self.chance.randrange(100) < REPEATED:
            again = await self._persist(lambda: self._post(url, body, 202, headers))
            if again is not None:
                same = again["batch_id"] == answer["batch_id"]
                self.ledger.write("batch", "repeated" if same else "changed", name)
        return str(answer["batch_id"])

    # ------------------------------------------------------------------ requests

    async def _persist(
        self, post: Callable[[], Awaitable[dict[str, Any] | None]]
    ) -> dict[str, Any] | None:
        """Try until it is answered; None where the load ends first."""
        pause_s = RETRY_MIN_S
        while (answer := await post()) is None:
            if self._ending.is_set():
                return None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), pause_s * self.chance.uniform(0.5, 1))
            pause_s = min(2 * pause_s, RETRY_MAX_S)
        return answer

    async def _post(
        self, url: str, body: dict[str, Any], accepted: int, headers: dict[str, str] | None = None
    ) -> dict[str, Any] | None:
        """One request; None, and counted, where it was not accepted."""
        try:
            async with self.session.post(url, json=body, headers=headers) as response:
                answer = await response.read()
                if response.status == accepted:
                    return dict(json.loads(answer))
                self.refusals[str(response.status)] += 1
                if response.status == 503 and "Retry-After" not in response.headers:
                    self.refusals["503 without Retry-After"] += 1
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.refusals[_name(error)] += 1
        return None


async def stock(api: Clients, count: int, timeout_s: float) -> tuple[str, list[str]]:
    """The key of a new factory, and the tokens of so many products of its.

    Their batch has no Idempotency-Key: by theirs the audit knows the batches of the load.
    """
    made = await api.ops.create_factory("Chaos", "chaos@factory.example")
    factory = api.factory(made.api_key)
    body = msgspec.json.encode({"product_count": count, "sku": "SHOE-42", "name": "Shoe"})
    answer = await factory.ask(Call("POST", "/v1/batches", repeatable=False, body=body))
    batch_id = answer.as_a(BatchReceipt).batch_id
    await factory.wait_for(batch_id, "processing", timeout_s=timeout_s)
    return made.api_key, [product.token async for product in factory.products(batch_id)]


def opened_session() -> aiohttp.ClientSession:
    """A session whose connections come and go, as those of many phones would."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        headers={"User-Agent": USER_AGENT},
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=2),
    )


def _name(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return "refused" if isinstance(error, aiohttp.ClientConnectorError) else "connection lost"
