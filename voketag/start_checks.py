"""What a process looks at before it works: whether the servers it was given are fit for it.

Each fault is one sentence with its remedy; all of them are said at once, and the process exits
with status 2. A server that does not answer yet is no fault: it is asked again beside the work,
which can do nothing with it either until then.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog

from voketag.errors import SettingsError, Unavailable
from voketag.redis import clock
from voketag.tasks import end

if TYPE_CHECKING:
    from voketag.chain.client import Chain
    from voketag.process import Wires
    from voketag.records.database import Connection, Database
    from voketag.records.replica import Reads

CLOCK_OFF_MAX_S = 60.0
ASK_AGAIN_S = 1.0
log = structlog.get_logger()

Check = Callable[[], Awaitable[list[str]]]
Clock = Callable[[], float]


@contextlib.asynccontextmanager
async def checked(
    wires: Wires, stopping: asyncio.Event, *, partitions: bool = False
) -> AsyncIterator[None]:
    """Surrounds the work of a process: begins once every server that answers has been looked at.

    `partitions`: this process stores rows that lie in monthly partitions. Raises SettingsError
    before the work, or once `stopping`, which it sets then, has ended it.
    """
    asked = asyncio.Event()
    checking = asyncio.create_task(_until_passed(_checks(wires, partitions), asked))
    try:
        await _first_of(asked, stopping, checking)
        _raise(checking)
        checking.add_done_callback(partial(_stop_if_failed, stopping))
        yield
        _raise(checking)
    finally:
        await end(checking)


def _checks(wires: Wires, partitions: bool) -> list[Check]:
    async def redis() -> list[str]:
        return await redis_faults(wires)

    async def database() -> list[str]:
        async with wires.database.connection() as connection:
            may_lose = wires.settings.database_may_lose
            return await database_faults(connection, may_lose=may_lose, partitions=partitions)

    async def replica() -> list[str]:
        return await replica_faults(wires.reads)

    async def chain() -> list[str]:
        return await chain_faults(wires.chain, wires.database)

    wanted = (
        (redis, True),
        (database, wires.has_database),
        (replica, wires.has_replica),
        (chain, wires.has_chain),
    )
    return [check for check, needed in wanted if needed]


async def _until_passed(checks: Sequence[Check], asked: asyncio.Event) -> None:
    """Ask until every server has answered; `asked` is set after the first round."""
    while checks := await _unanswered(checks):
        asked.set()
        await asyncio.sleep(ASK_AGAIN_S)


async def _unanswered(checks: Sequence[Check]) -> list[Check]:
    """Those of the checks whose server did not answer. Raises SettingsError with all faults."""
    results = await asyncio.gather(*(check() for check in checks), return_exceptions=True)
    faults: list[str] = []
    left = []
    for check, result in zip(checks, results, strict=True):
        if isinstance(result, Unavailable):
            log.warning("waiting", error=str(result))
            left.append(check)
        elif isinstance(result, BaseException):
            raise result
        else:
            faults += result
    if faults:
        raise SettingsError(faults)
    return left


async def _first_of(
    asked: asyncio.Event, stopping: asyncio.Event, checking: asyncio.Task[None]
) -> None:
    waits = [asyncio.create_task(event.wait()) for event in (asked, stopping)]
    await asyncio.wait([*waits, checking], return_when=asyncio.FIRST_COMPLETED)
    await end(*waits)


def _stop_if_failed(stopping: asyncio.Event, checking: asyncio.Task[None]) -> None:
    if not checking.cancelled() and checking.exception() is not None:
        stopping.set()


def _raise(task: asyncio.Task[None]) -> None:
    if task.done():
        task.result()


# ---------------------------------------------------------------------- the servers


async def redis_faults(wires: Wires, clock_s: Clock = time.time) -> list[str]:
    """What is wrong with the Redis, apart from whether it keeps what it acknowledged."""
    before_s = clock_s()
    told_s = await clock.now_s(wires.streams.redis)
    after_s = clock_s()
    faults = [
        _clock_faults("VOKETAG_REDIS_URL: Redis", before_s, there_s, after_s) for there_s in told_s
    ]
    return [fault for of_server in faults for fault in of_server]


async def database_faults(
    connection: Connection, *, may_lose: bool, partitions: bool, clock_s: Clock = time.time
) -> list[str]:
    """What is wrong with the Postgres, for a process that stores into partitions or does not."""
    # Imported where it is needed: a process that speaks to Redis alone stays small.
    from voketag.records import migrations, server
    from voketag.records.partitions import missing as missing_partitions

    if missing := await migrations.missing(connection):
        # Everything else is looked at in a database that is ours.
        return [
            "VOKETAG_DATABASE_URL: this database lacks what this version of VokeTag needs "
            f"({', '.join(missing)}): run `voketag migrate`."
        ]
    before_s = clock_s()
    there_s = (await server.now(connection)).timestamp()
    faults = _clock_faults("VOKETAG_DATABASE_URL: Postgres", before_s, there_s, clock_s())
    forgetful = [] if may_lose else await server.forgetful_settings(connection)
    if forgetful:
        faults.append(
            "VOKETAG_DATABASE_URL: this Postgres can lose what it has committed: "
            f"{', '.join(f'{name} is off' for name in forgetful)}. Turn it on, or accept the loss "
            "of stored scans and batches with VOKETAG_DATABASE_MAY_LOSE=yes."
        )
    months = _this_month_and_next(clock_s())
    if partitions and (lacking := await missing_partitions(connection, months)):
        faults.append(
            f"VOKETAG_DATABASE_URL: partitions are missing ({', '.join(lacking)}): run `voketag "
            "migrate`, and see to it that consumers/maintain runs, which makes them ahead."
        )
    return faults


async def replica_faults(reads: Reads) -> list[str]:
    """Whether the replica is one of this database. One that is away, or is no standby, is no fault:
    the primary is asked in its place, and it is used once it is there.
    """
    if await reads.look():
        return []
    return [
        "VOKETAG_DATABASE_READ_URL: this server holds another database than the one of "
        "VOKETAG_DATABASE_URL: give the URL of a standby that follows that one (streaming "
        "replication), or leave the variable unset."
    ]


async def chain_faults(chain: Chain, database: Database) -> list[str]:
    """Whether the chain is the one on which this database's anchors are."""
    from voketag.chain.client import DEVELOPMENT_CHAIN_ID
    from voketag.records import anchors

    chain_id = await chain.chain_id()
    async with database.connection() as connection:
        elsewhere = await anchors.elsewhere(connection, chain_id)
    return [
        f"VOKETAG_CHAIN_URL: this server answers for chain {chain_id}, while the database has "
        f"{count} anchors on chain {other}, {unfinished} of them under way: give the URL of a "
        "server of that chain."
        for other, count, unfinished in elsewhere
        if unfinished or chain_id == DEVELOPMENT_CHAIN_ID
    ]


def _clock_faults(where: str, before_s: float, there_s: float, after_s: float) -> list[str]:
    """Whether a clock that was read between two readings of ours is far off: the times in ids, by
    which rows are found and months are chosen, are this machine's.
    """
    off_s = max(before_s - there_s, there_s - after_s)
    if off_s <= CLOCK_OFF_MAX_S:
        return []
    slow = "behind" if there_s > after_s else "ahead of"
    return [
        f"{where}: this machine's clock is {off_s:.0f} s {slow} the server's: set both by NTP "
        f"({CLOCK_OFF_MAX_S:.0f} s are accepted)."
    ]


def _this_month_and_next(now_s: float) -> tuple[datetime, datetime]:
    this = datetime.fromtimestamp(now_s, UTC).replace(day=1)
    return this, this + timedelta(days=31)
