"""What people decided about a batch or a product: it stands in Postgres, and Redis tells scans.
Each of these can be done again at any time, and a repeat does the rest where one failed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from uuid import UUID

from voketag import events, notices
from voketag.batches.answers import Batch
from voketag.records import batches
from voketag.redis import batch_cache
from voketag.redis.intake import Intake

if TYPE_CHECKING:
    from voketag.process import Wires
    from voketag.records.database import Connection
    from voketag.records.reports import Standing

Also = Callable[["Connection", Batch], Awaitable[None]]


async def recall(
    wires: Wires,
    batch_id: UUID,
    reason: str,
    *,
    factory_id: UUID | None = None,
    also: Also | None = None,
) -> Batch | None:
    """Recall a batch, of this factory where one is given; gives it as it is then, None where there
    is no such batch. The first time and reason are kept. `also` is done in the transaction of the
    first time. Raises Unavailable.
    """
    async with wires.database.transaction() as connection:
        recalled_now = await batches.recall(connection, factory_id, batch_id, reason)
        batch = await batches.view(connection, factory_id, batch_id)
        if batch is None or batch.recalled_at is None:
            return None
        if recalled_now and also is not None:
            await also(connection, batch)
    await wires.intake.recall(batch_id)
    await batch_cache.forget(wires.streams.redis, [batch_id])
    detail = {"reason": batch.recall_reason}
    at = batch.recalled_at
    notice = notices.of_batch("batch.recalled", batch_id, batch.factory_id, at, detail)
    await wires.streams.publish(events.NOTICES, events.encode(notice))
    return batch


async def tell_reporters(intake: Intake, standing: Standing) -> None:
    """Have scans of a product count those with a report that was not dismissed, and take off those
    whose every report was. Nobody else is taken off: a report may be stored at this moment.
    """
    if standing.believed:
        await intake.report(standing.product_id, *standing.believed)
    if standing.dismissed:
        await intake.forget_reports(standing.product_id, *standing.dismissed)
