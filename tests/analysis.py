"""What analysts look at, made through the doors of the services: batches, scans, reports."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from consumers import persist, score
from tests.administration import Admin, admin_on
from tests.erp import Erp, anchor, serving
from tests.factory_floor import running, token_of
from tests.phones import Phone, phone_on
from voketag import identifiers

THREE = {"product_count": 3}
DESCRIPTION = "The logo is mirrored.\nThe seller no longer answers."


@dataclass
class Goods:
    """A batch that is final on the chain, and the one product of it that was copied."""

    admin: Admin
    erp: Erp
    phone: Phone
    batch_id: UUID
    product_id: UUID
    token: str

    async def report(self, **said: Any) -> str:
        """Report the product, or a scan, as somebody who scanned it; gives the report's id."""
        what = {} if "scan_id" in said else {"token": self.token}
        body = what | {"reason": "counterfeit", "description": DESCRIPTION} | said
        status, answer, _ = await self.phone.post("/v1/reports", body)
        assert status == 202, answer
        return str(answer["report_id"])


@contextlib.asynccontextmanager
async def goods_on(redis_url: str, database_url: str, **fields: Any) -> AsyncIterator[Goods]:
    """The services of ops, factories and phones on real servers, with goods; scans are scored and
    stored.
    """
    async with (
        admin_on(redis_url, database_url) as admin,
        serving(redis_url, database_url) as service,
        phone_on(redis_url, database_url) as phone,
        running(admin.wires, score.build(admin.wires), persist.build(admin.wires)),
    ):
        erp = await service.erp()
        batch_id = await erp.create_stored(**({} if "serials" in fields else THREE) | fields)
        await anchor(erp.wires, batch_id, "final")
        product_id = identifiers.product_id(batch_id, 0)
        token = token_of(admin.wires, product_id)
        yield Goods(admin, erp, phone, batch_id, product_id, token)


async def copied(goods: Goods) -> None:
    """Scan the product as the buyers of its copies do, until the last scan is stored."""
    for place, country in enumerate(("BR", "DE", "JP", "US", "ZA")):
        for number in range(2):
            device = {"install_id": f"{place}-{number}"}
            told = await goods.phone.scan(goods.token, country=country, device=device)
    await goods.phone.record(told["scan_id"])
