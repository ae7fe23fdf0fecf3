"""What is left in the end, against what was accepted.

Everything is counted anew from the ledger, the rows, the dead letters and the chain's own events:
nothing here trusts a figure that the system under audit keeps.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, get_args

import asyncpg
from redis.asyncio import Redis

from chaos import audit_anchors, ledger
from chaos.findings import Audit, Row
from voketag import acceptance, events
from voketag.events import DEAD_SUFFIX, ScoredScan
from voketag.records import stats
from voketag.settings import Settings

# A product's scans are counted 1, 2, 3 ... in its history: a gap is one that was scored and lost, a
# number that stands twice is one that was scored out of order.
_HISTORIES = """
SELECT product_id, count(*) AS rows, count(DISTINCT (history->>'scans')::int) AS different,
       max((history->>'scans')::int) AS highest
FROM scan_events WHERE product_id IS NOT NULL GROUP BY product_id
HAVING count(*) <> count(DISTINCT (history->>'scans')::int)
    OR count(*) <> max((history->>'scans')::int)
"""


class Attempts:
    """The ledger, sorted by what it speaks of."""

    def __init__(self, path: Path) -> None:
        self.attempted: dict[str, set[str]] = {kind: set() for kind in get_args(ledger.Kind)}
        self.accepted: dict[str, dict[str, ledger.Line]] = {kind: {} for kind in self.attempted}
        self.repeats: Counter[str] = Counter()
        for line in ledger.read(path):
            if line.step == "attempted":
                self.attempted[line.kind].add(line.name)
            elif line.step == "accepted":
                self.accepted[line.kind][line.name] = line
            else:
                self.repeats[line.step] += 1


async def audit(settings: Settings, path: Path) -> Audit:
    """Compare what the ledger says was accepted with what there is. The system has to be idle."""
    attempts = Attempts(path)
    result = Audit(repeats=attempts.repeats["repeated"])
    if changed := attempts.repeats["changed"]:
        result.findings.append(f"{changed} repeated requests were answered differently")
    if forged := len(attempts.accepted["forged"]):
        result.findings.append(f"{forged} forged tokens were recognised")
    connection = await asyncpg.connect(settings.database_url)
    redis = Redis.from_url(settings.redis_url)
    try:
        await _scans(result, attempts, connection, await _dead_scans(redis, settings.shards))
        await _reports(result, attempts, connection)
        await _batches(result, attempts, connection)
        await _statistics(result, connection)
        await audit_anchors.check(result, connection, settings.chain_url)
        await _dead_letters(result, redis, settings.shards)
    finally:
        await connection.close()
        await redis.aclose()
    for row in result.rows:
        for name in ("twice", "lost", "strange"):
            if found := getattr(row, name):
                result.findings.append(f"{row.what}: {found} {name}")
    return result


async def _scans(
    result: Audit, attempts: Attempts, connection: asyncpg.Connection, dead: set[str]
) -> None:
    found = [
        str(row["scan_id"]) for row in await connection.fetch("SELECT scan_id FROM scan_events")
    ]
    stored = set(found)
    accepted = set(attempts.accepted["scan"])
    accepted |= {line.given for line in attempts.accepted["anonymous"].values()}
    unnamed = len(attempts.attempted["anonymous"]) - len(attempts.accepted["anonymous"])
    unknown = len(stored - attempts.attempted["scan"] - accepted)
    wrong = await connection.fetch(_HISTORIES)
    result.rows.append(
        Row(
            "scans",
            attempted=len(attempts.attempted["scan"]) + len(attempts.attempted["anonymous"]),
            accepted=len(accepted),
            stored=len(found),
            twice=len(found) - len(stored),
            dead=len(dead - stored),
            lost=len(accepted - stored - dead),
            strange=max(0, unknown - unnamed),
        )
    )
    if dead:
        return  # one may have been buried before it was counted, or after
    products = await connection.fetchval("SELECT count(DISTINCT product_id) FROM scan_events")
    result.conclude(
        f"{products} products, each scan counted once and in order in its history",
        [
            f"product {row['product_id']}: {row['rows']} scans, counted to {row['highest']} in its "
            f"history with {row['different']} different numbers"
            for row in wrong
        ],
    )


async def _dead_scans(redis: Redis, shards: int) -> set[str]:
    """The ids of scans in the dead letters."""
    found: set[str] = set()
    for shard in range(shards):
        for fields in await _entries(redis, events.scans(shard) + DEAD_SUFFIX):
            found.add(str(acceptance.decode(fields).scan.scan_id))
        for fields in await _entries(redis, events.scored(shard) + DEAD_SUFFIX):
            found.add(str(events.decode(fields, ScoredScan).scan.scan_id))
    return found


async def _entries(redis: Redis, stream: str) -> list[dict[str, bytes]]:
    entries: Any = await redis.xrange(stream)
    return [{name.decode(): value for name, value in raw.items()} for _, raw in entries]


async def _dead_letters(result: Audit, redis: Redis, shards: int) -> None:
    for stream in events.all_streams(shards):
        if count := await redis.xlen(stream + DEAD_SUFFIX):
            result.findings.append(f"{count} entries of {stream} were buried")


async def _reports(result: Audit, attempts: Attempts, connection: asyncpg.Connection) -> None:
    rows = await connection.fetch("SELECT report_id, description FROM fraud_reports")
    stored = {str(row["report_id"]) for row in rows}
    names = Counter(str(row["description"]).partition(" ")[0] for row in rows)
    accepted = {line.given for line in attempts.accepted["report"].values()}
    result.rows.append(
        Row(
            "reports",
            attempted=len(attempts.attempted["report"]),
            accepted=len(accepted),
            stored=len(rows),
            twice=sum(names.values()) - len(names),
            lost=len(accepted - stored),
            strange=len(set(names) - attempts.attempted["report"]),
        )
    )


async def _batches(result: Audit, attempts: Attempts, connection: asyncpg.Connection) -> None:
    rows = await connection.fetch(
        "SELECT batch_id, idempotency_key, status, product_count, "
        "(SELECT count(*) FROM products WHERE products.batch_id = batches.batch_id) AS products "
        "FROM batches WHERE idempotency_key IS NOT NULL"
    )
    keys = Counter(row["idempotency_key"] for row in rows)
    by_id = {str(row["batch_id"]): row for row in rows}
    accepted = attempts.accepted["batch"]
    lost = [line for line in accepted.values() if line.given not in by_id]
    result.rows.append(
        Row(
            "batches",
            attempted=len(attempts.attempted["batch"]),
            accepted=len(accepted),
            stored=len(rows),
            twice=sum(keys.values()) - len(keys),
            lost=len(lost),
            strange=len(set(keys) - attempts.attempted["batch"]),
        )
    )
    wrong = [
        f"batch {batch_id} is {row['status']}"
        for batch_id, row in by_id.items()
        if row["status"] != "completed"
    ]
    wrong += [
        f"batch {batch_id} has {row['products']} products of {row['product_count']}"
        for batch_id, row in by_id.items()
        if row["products"] != row["product_count"]
    ]
    products = sum(row["products"] for row in rows)
    result.conclude(f"{products} products of {len(rows)} batches, each batch completed", wrong)


async def _statistics(result: Audit, connection: asyncpg.Connection) -> None:
    days = await connection.fetchval("SELECT count(*) FROM scan_stats_daily")
    result.conclude(
        f"{days} rows of daily statistics, equal to the recount",
        [
            f"statistics of {wrong.day}, factory {wrong.factory_id}: {wrong.count} kept as "
            f"{wrong.kept}, recounted {wrong.counted}"
            for wrong in await stats.differences(connection)
        ],
    )
