"""A read replica beside the primary: it is asked first for what may lag by a moment, and never has
to answer.

The primary is asked for whatever the replica does not answer or does not have yet. One that fell
silent is left alone until it has answered a question that nobody waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg
import structlog

from voketag import metrics
from voketag.errors import Unavailable
from voketag.records import server
from voketag.records.database import Connection, Database

# A scan may wait for it: what has no answer by then is asked of the primary.
ANSWER_TIMEOUT_S = 2.0
LOOK_AGAIN_S = 1.0
Result = TypeVar("Result")
Ask = Callable[[Connection], Awaitable[Result]]
log = structlog.get_logger()


class Reads:
    """Reads by the replica where there is one and it is fit, else by the primary.

    It is fit once it was seen to be a standby of the primary's very database, and for as long as it
    answers.
    """

    def __init__(self, primary: Database, replica: Database | None = None) -> None:
        self._primary = primary
        self._replica = replica
        self._identity: server.Identity | None = None  # the primary's, once it is known
        self._fit = False
        self._said = False  # that it is not
        self._looking: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Leave the replica."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        if self._replica is not None:
            await self._replica.close()

    @property
    def has_replica(self) -> bool:
        """Whether there is a replica, fit or not."""
        return self._replica is not None

    async def first(
        self, ask: Ask[Result], enough: Callable[[Result], bool] = lambda _: True
    ) -> Result:
        """What the replica answers where that is `enough`, else what the primary does.

        Raises Unavailable where the primary is needed and does not answer.
        """
        if self.has_replica:
            try:
                answer = await self.by_replica(ask)
            except Unavailable:
                pass
            else:
                if enough(answer):
                    return answer
                self.note_lacking()
        async with self._primary.connection() as connection:
            return await ask(connection)

    async def by_replica(self, ask: Ask[Result]) -> Result:
        """What the replica answers. Raises Unavailable where there is none that does."""
        if self._replica is None:
            raise Unavailable("there is no replica")
        if not self._fit:
            self._look_after()
            metrics.REPLICA_READS.labels("unavailable").inc()
            raise Unavailable("the replica is left alone")
        try:
            answer = await _answer(self._replica, ask)
        # Of Postgres' own errors those as well that are not about the server: a table that has not
        # come over yet, say. Where it is a bug of ours, the primary will say the same.
        except (Unavailable, asyncpg.PostgresError) as error:
            self._leave_alone(str(error))
            metrics.REPLICA_READS.labels("unavailable").inc()
            raise Unavailable(f"the replica: {error}") from error
        metrics.REPLICA_READS.labels("answered").inc()
        return answer

    def note_lacking(self) -> None:
        """Count an answer that has to be completed by the primary."""
        metrics.REPLICA_READS.labels("lacking").inc()

    async def look(self) -> bool:
        """False where the replica is of another database. One that does not answer is looked at
        again until it does: nobody has to wait for that.
        """
        if self._replica is None:
            return True
        try:
            same = await self._is_same(self._replica)
        except (Unavailable, asyncpg.PostgresError) as error:
            self._leave_alone(str(error))
            return True
        if same:
            if self._said:
                log.info("the replica is asked again")
            self._fit, self._said = True, False
        else:
            self._leave_alone("it is a replica of another database")
        return same

    async def lag_bytes(self) -> int | None:
        """How much of what the primary has written the replica does not show yet, None where that
        is not known.
        """
        if self._replica is None or not self._fit:
            return None
        try:
            written = await _answer(self._primary, server.written_bytes)
            return max(0, written - await _answer(self._replica, server.replayed_bytes))
        except (Unavailable, asyncpg.PostgresError):
            return None

    async def _is_same(self, replica: Database) -> bool:
        theirs = await _answer(replica, server.identity)
        if self._identity is None:
            self._identity = await _answer(self._primary, server.identity)
        return theirs == self._identity

    def _leave_alone(self, reason: str) -> None:
        self._fit = False
        if not self._said:  # once an outage
            self._said = True
            log.warning("the replica is left alone, the primary is asked", error=reason)
        self._look_after()

    def _look_after(self) -> None:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_until_fit(), name="replica")

    async def _look_until_fit(self) -> None:
        while not self._fit:
            await self.look()
            await asyncio.sleep(LOOK_AGAIN_S)


async def _answer(database: Database, ask: Ask[Result]) -> Result:
    """What this server answers, in time. Raises Unavailable."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S), database.connection() as connection:
            answer = await ask(connection)
            if database.standby and server.is_promoted(connection):
                raise Unavailable("postgres: the replica was promoted, it follows nobody any more")
            return answer
    except TimeoutError:
        raise Unavailable(f"postgres: no answer in {ANSWER_TIMEOUT_S:g} s") from None
