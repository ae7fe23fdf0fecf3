"""What a section sees of a running system, whichever it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg
from redis.asyncio import Redis

from benchmarks.load.driving import drive
from benchmarks.load.orders import Load, Measured
from benchmarks.systems.processes import Usage, usage
from voketag.stack.stack import Stack
from voketag.stack.supervise import Supervisor

PRODUCTS = 30_000
WARM_UP_CONNECTIONS = 50
WARM_UP_MAX_S = 60.0
_WARM_UP_ROUNDS = 1.5  # scans of each product, so that every cache holds it
_POLL_EVERY_S = 0.02
_CLOCK_SLACK_S = 0.001


@dataclass(frozen=True)
class Drained:
    """A load, and what became of its scans. `lag_s` is the time from its last answer until Postgres
    held every scan answered with 200, or until we stopped waiting and `missing` of them were not
    there; less than a tenth of a second cannot be told from none.
    """

    measured: Measured
    lag_s: float
    missing: int

    @property
    def stored_per_s(self) -> float:
        """Scans stored a second, the time it took to catch up counted in."""
        stored = self.measured.ok - self.missing
        return stored / (self.measured.duration_s + self.lag_s)

    @property
    def fault(self) -> str | None:
        """What did not go as it should, None where all was answered and stored."""
        failed, missing = self.measured.failed, self.missing
        if not failed and not missing:
            return None
        statuses = ", ".join(f"{n} x {status}" for status, n in self.measured.statuses.items())
        return (
            f"of {self.measured.sent:,} scans {failed:,} were not answered with 200 ({statuses}, "
            f"{self.measured.broken} broken, {self.measured.unanswered} unanswered), and "
            f"{missing:,} that were are not stored"
        )


@dataclass(frozen=True)
class System:
    """A system that runs: its servers, its programs and `PRODUCTS` products, by their tokens."""

    name: str
    url: str
    tokens: Sequence[str]
    servers: Stack
    programs: Supervisor
    program_names: tuple[str, ...]
    database: asyncpg.Connection
    redis: Redis
    scan_time: str
    """The column of its table scan_events that holds the time of a scan."""

    async def warm_up(self) -> None:
        """Scan every product, so that caches, plans and pools are as in daily work."""
        load = Load(
            url=self.url,
            tokens=list(self.tokens),
            connections=WARM_UP_CONNECTIONS,
            for_s=WARM_UP_MAX_S,
            requests_max=int(_WARM_UP_ROUNDS * len(self.tokens)),
            seed=0,
        )
        await self.drain(load)

    def load(self, connections: int, for_s: float, per_s: float | None = None) -> Load:
        """A load of scans of this system's products; see Load."""
        return Load(
            url=self.url,
            tokens=list(self.tokens),
            connections=connections,
            for_s=for_s,
            per_s=per_s,
        )

    async def drain(self, load: Load, within_s: float = 60.0) -> Drained:
        """Run a load, and wait until what it had accepted is stored, but no longer than that."""
        begun_at_s = time.time()
        measured = await drive(load)
        ended_at_s = measured.begun_at_s + measured.duration_s
        while True:
            asked_at_s = time.time()
            missing = max(0, measured.ok - await self.stored(begun_at_s))
            if not missing or asked_at_s - ended_at_s > within_s:
                return Drained(measured, max(0.0, asked_at_s - ended_at_s), missing)
            # A count takes a processor from the system that is to catch up.
            await asyncio.sleep(max(_POLL_EVERY_S, 3 * (time.time() - asked_at_s)))

    async def stored(self, since_s: float) -> int:
        """The scans in Postgres that were made since a moment (seconds of the Unix epoch)."""
        since = datetime.fromtimestamp(since_s - _CLOCK_SLACK_S, UTC)
        query = f"SELECT count(*) FROM scan_events WHERE {self.scan_time} >= $1"
        return int(await self.database.fetchval(query, since))

    def pids(self, servers: bool = True) -> dict[str, int]:
        """The processes of the moment by name: its programs, and its servers if so asked."""
        running = [name for name in self.program_names if self.programs.has(name)]
        named = {name: self.programs.pid(name) for name in running}
        if servers:
            named |= {name: self.servers.pid(name) for name in self.servers.servers}
        return {name: pid for name, pid in named.items() if pid is not None}

    def usage(self) -> dict[str, Usage]:
        """What each of its processes has taken so far."""
        return usage(self.pids())
