"""One run: load, faults, recovery after each, then silence and the audit."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from chaos.audit import audit
from chaos.faults import Fault, Faults, inflict
from chaos.findings import Audit
from chaos.ledger import Ledger
from chaos.load import Load, opened_session, stock
from chaos.system import System, started
from chaos.table import Recovery, Told
from voketag.client import ApiError
from voketag.tasks import end

PRODUCTS = 200
QUIET_S = 0.3  # between a recovery and the next faults
RECOVERY_TIMEOUT_S = 30.0
DRAIN_TIMEOUT_S = 120.0
PROBE_EVERY_S = 0.02


class Stuck(Exception):
    """The pipeline did not come back after a fault."""


class Interrupted(Exception):
    """Somebody ended the run: there is nothing to audit."""


@dataclass(frozen=True)
class Order:
    """What is asked of a run. `only` limits the targets to those whose name holds it."""

    seed: int
    kills: int
    scans_per_s: float = 100.0
    only: str = ""
    replaced: tuple[tuple[str, str], ...] = ()


async def run(order: Order, home: Path, say: Callable[[str], None]) -> tuple[Told, Audit]:
    """Do what was ordered in an empty directory; gives what was done and what the audit found.

    Where the pipeline does not come back after a fault, nothing more is broken, and that it did not
    is the first of the findings. Raises Interrupted.
    """
    async with started(home, dict(order.replaced)) as system:
        ledger = Ledger(home / "ledger.jsonl")
        try:
            async with opened_session() as session:
                load = await _load(order, system, ledger, session)
                told = await _break(order, system, load, say)
            if system.interrupted.is_set():
                raise Interrupted
            say("no more load, no more faults: waiting until everything has come through")
            left = await _drained(system)
            result = await audit(system.settings, ledger.path)
            result.findings[:0] = [*told.stuck, *left]
            return told, result
        finally:
            ledger.close()


async def _load(order: Order, system: System, ledger: Ledger, session: Any) -> Load:
    api = system.api
    key, tokens = await stock(api, PRODUCTS, RECOVERY_TIMEOUT_S)
    return Load(api.where, key, tokens, ledger, random.Random(order.seed), session)


async def _break(order: Order, system: System, load: Load, say: Callable[[str], None]) -> Told:
    """Break things while the load goes on, until enough was killed."""
    faults = Faults(order.seed, system.programs, order.only)
    inflicted: Counter[tuple[str, str]] = Counter()
    recovery, stuck = Recovery(), []
    began_s = time.monotonic()
    loading = asyncio.create_task(load.run(order.scans_per_s))
    try:
        await _recovered(system, load)
        while (killed := _kills(inflicted)) < order.kills and not system.interrupted.is_set():
            drawn = faults.draw(order.kills - killed)
            if not drawn:
                continue
            after = " and ".join(map(str, drawn))
            say(_progress(order, killed, after, recovery, load))
            took_s, last = await _round(system, load, drawn, after)
            recovery.note(took_s, f"{after}: the {last}")
            inflicted.update((fault.kind, fault.target) for fault in drawn)
            await asyncio.sleep(QUIET_S)
    except Stuck as error:
        stuck.append(str(error))
    finally:
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)
        await load.finish()
    lasted_s = time.monotonic() - began_s
    refusals = load.refusals
    return Told(order.seed, lasted_s, order.scans_per_s, inflicted, recovery, refusals, stuck)


async def _round(system: System, load: Load, drawn: list[Fault], after: str) -> tuple[float, str]:
    """Faults at once; the seconds from the end of the last until all works again, and what of the
    pipeline was the last to do so.
    """
    await asyncio.gather(*(inflict(system, fault) for fault in drawn))
    lifted_s = time.monotonic()
    try:
        async with asyncio.timeout(RECOVERY_TIMEOUT_S):
            last = await _recovered(system, load)
    except TimeoutError:
        raise Stuck(f"not recovered {RECOVERY_TIMEOUT_S:g} s after {after}") from None
    return time.monotonic() - lifted_s, last


def _kills(inflicted: Counter[tuple[str, str]]) -> int:
    return sum(count for (kind, _), count in inflicted.items() if kind == "kill")


def _progress(order: Order, killed: int, after: str, recovery: Recovery, load: Load) -> str:
    return (
        f"{killed:>5}/{order.kills} kills  {load.ledger.accepted['scan']:>8,} scans  "
        f"{load.ledger.accepted['batch']:>5,} batches  p99 {recovery.percentile(0.99):.1f} s, "
        f"last {recovery.took_s[-1] if recovery.took_s else 0:.1f} s; now {after}"
    )


# ---------------------------------------------------------------------- what recovered means


async def _recovered(system: System, load: Load) -> str:
    """A scan that is sent now is stored, a batch that is sent now is anchored for good, and every
    process answers. Gives which of them came last.
    """
    parts = {
        asyncio.create_task(_scan_goes_through(system, load)): "scan",
        asyncio.create_task(_batch_goes_through(system, load)): "batch",
        asyncio.create_task(_ready(system)): "processes",
    }
    waiting, last = set(parts), ""
    try:
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for part in done:
                part.result()
                last = parts[part]
    finally:
        await end(*waiting)
    return last


async def _scan_goes_through(system: System, load: Load) -> None:
    scan_id = None
    while scan_id is None:  # a forger's attempt is none
        scan_id = await load.scan_once()
    await _row(system, "SELECT 1 FROM scan_events WHERE scan_id = $1", scan_id)


async def _batch_goes_through(system: System, load: Load) -> None:
    batch_id = None
    while batch_id is None:
        batch_id = await load.push_once()
    await _row(
        system, "SELECT 1 FROM batches WHERE batch_id = $1 AND status = 'completed'", batch_id
    )


async def _row(system: System, query: str, *arguments: object) -> None:
    """Wait until the query finds a row. The server itself may be down, now or later."""
    while True:
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection = await asyncpg.connect(system.settings.database_url, timeout=2)
            try:
                while await connection.fetchval(query, *arguments) is None:  # noqa: ASYNC110
                    await asyncio.sleep(PROBE_EVERY_S)
            finally:
                connection.terminate()
            return
        await asyncio.sleep(PROBE_EVERY_S)


async def _ready(system: System) -> None:
    for door in system.api.doors.values():
        await _until(door.ready)


async def _until(ask: Callable[[], Awaitable[object]]) -> None:
    while True:
        with contextlib.suppress(ApiError):
            await ask()
            return
        await asyncio.sleep(PROBE_EVERY_S)


async def _drained(system: System) -> list[str]:
    """Wait until nothing is on its way any more; what is still, as sentences."""
    waits: list[str] = []

    async def at_rest() -> bool:
        waits.clear()
        for stream in await system.api.ops.streams():
            for group in stream.groups:
                if group.pending or group.lag != 0:
                    waits.append(f"{stream.stream} is not drained by {group.group}: {group}")
        connection = await asyncpg.connect(system.settings.database_url, timeout=5)
        try:
            left = await connection.fetchval(
                "SELECT count(*) FROM batches WHERE status <> 'completed'"
            )
            open_anchors = await connection.fetchval(
                "SELECT count(*) FROM anchors WHERE status <> 'final'"
            )
        finally:
            await connection.close()
        if left or open_anchors:
            waits.append(f"{left} batches are not completed, {open_anchors} anchors are not final")
        return not waits

    deadline_s = time.monotonic() + DRAIN_TIMEOUT_S
    while time.monotonic() < deadline_s:
        with contextlib.suppress(ApiError, OSError, asyncpg.PostgresError):
            if await at_rest():
                return []
        await asyncio.sleep(0.2)
    return waits or ["the system did not answer any more"]
