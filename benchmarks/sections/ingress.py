"""What one scan process takes in, against a process that only reads a body and answers."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import appending
from benchmarks.appending import Appended
from benchmarks.load.driving import drive
from benchmarks.load.orders import Load, Measured
from benchmarks.section import Bench, Figure, Found, Section, Target
from benchmarks.systems import voketag
from benchmarks.systems.processes import cpu_s_between
from benchmarks.systems.system import System
from voketag import events
from voketag.stack.home import choose_port, make_home
from voketag.stack.program import Program, exchange
from voketag.stack.supervise import Supervisor

CONNECTIONS = 50
# With nothing behind it every answer counts the scans of its product that wait for a score. In this
# time each product is scanned once or twice, so that hardly any wait, as with a score group.
FOR_S = 5.0
APPEND_FOR_S = 5.0
BARE = "bare aiohttp"
REDIS = "Redis, XADD in pipelines of 100"
_MICRO = 1e6


@dataclass(frozen=True)
class _Round:
    """Scans answered by each, the processors' time of VokeTag, and what Redis alone appends."""

    scan: Measured
    cpu_s: Mapping[str, float]
    bare: Measured
    appended: Appended


async def measure(bench: Bench) -> Found:
    """Ingress alone: the scan process, its Redis and Postgres run, and nothing behind them."""
    rounds = []
    for number in range(1, bench.rounds + 1):
        bench.say(f"round {number} of {bench.rounds}")
        one = await _round(bench)
        rounds.append(one)
        bench.say(
            f"  {one.scan.per_s:,.0f} scans a second, bare {one.bare.per_s:,.0f}, "
            f"Redis appends {one.appended.per_s:,.0f}"
        )
    ours = _figure("answered", voketag.NAME, "requests/s", [_answered(one.scan) for one in rounds])
    bare = _figure("answered", BARE, "requests/s", [_answered(one.bare) for one in rounds])
    appended = _figure("appended", REDIS, "entries/s", [one.appended.per_s for one in rounds])
    targets = [
        Target("scans answered a second: one process / bare aiohttp", ours, bare, 0.45, 0.65),
        Target("scans answered a second / entries Redis alone appends", ours, appended),
    ]
    notes = [f"An entry of the XADD ceiling has {rounds[0].appended.entry_bytes} bytes, as ours."]
    notes += _faults(rounds)
    return Found([ours, bare, appended, *_details(rounds)], targets, notes)


async def _round(bench: Bench) -> _Round:
    load_s = bench.scale * FOR_S
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
        async with voketag.started(Path(folder)) as system:
            await system.warm_up()
            behind = [name for name in system.program_names if name != "scan"]
            await system.programs.stop(*behind)
            before = system.usage()
            scan = await drive(system.load(CONNECTIONS, load_s))
            cpu_s = cpu_s_between(before, system.usage())
            await system.programs.stop("scan")
            url = system.servers.environment["VOKETAG_REDIS_URL"]
            fields = await _last_entry(system)
            appended = await appending.append(url, fields, bench.scale * APPEND_FOR_S)
            tokens = list(system.tokens)
    async with _bare(bench) as url:
        load = Load(url=url, tokens=tokens, connections=CONNECTIONS, for_s=load_s)
        bare = await drive(load)
    return _Round(scan, cpu_s, bare, appended)


async def _last_entry(system: System) -> dict[bytes, bytes]:
    """What the scan process wrote last into the first shard."""
    found: Any = await system.redis.xrevrange(events.scans(0), count=1)
    ((_, fields),) = found
    return dict(fields)


@contextlib.asynccontextmanager
async def _bare(bench: Bench) -> AsyncIterator[str]:
    """The bare process, ready. The URL it answers."""
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
        home = make_home(Path(folder))
        port = choose_port(home, "bare")

        async def ready() -> bool:
            request = b"GET / HTTP/1.1\r\nHost: bare\r\nConnection: close\r\n\r\n"
            return bool(await exchange(port, request))

        command = (sys.executable, "-m", "benchmarks.bare", str(port))
        programs = Supervisor(home, {}, bench.say, bench.say)
        try:
            await programs.start(Program("bare", command, log=home / "bare.log", ready=ready))
            yield f"http://127.0.0.1:{port}/v1/scans"
        finally:
            await programs.stop()


def _answered(measured: Measured) -> float:
    return measured.ok / measured.duration_s


def _figure(name: str, system: str, unit: str, values: list[float]) -> Figure:
    return Figure(name, system, unit, tuple(values))


def _details(rounds: list[_Round]) -> list[Figure]:
    """Latencies, and what a scan takes of the processors."""
    shown = [
        _figure("p50", voketag.NAME, "ms", [one.scan.p50_ms for one in rounds]),
        _figure("p99", voketag.NAME, "ms", [one.scan.p99_ms for one in rounds]),
        _figure("p50", BARE, "ms", [one.bare.p50_ms for one in rounds]),
        _figure("p99", BARE, "ms", [one.bare.p99_ms for one in rounds]),
    ]
    for process in ("scan", "redis"):
        taken = [_MICRO * one.cpu_s[process] / one.scan.ok for one in rounds]
        shown.append(_figure(f"processor for a scan: {process}", voketag.NAME, "us", taken))
    taken = [_MICRO * one.scan.cpu_s / one.scan.sent for one in rounds]
    shown.append(_figure("processor for a scan", "the load generator", "us", taken))
    return shown


def _faults(rounds: list[_Round]) -> list[str]:
    return [
        f"Round {number}: {measured.failed} of {measured.sent} requests to {system} failed."
        for number, one in enumerate(rounds, 1)
        for system, measured in ((voketag.NAME, one.scan), (BARE, one.bare))
        if measured.failed
    ]


SECTION = Section("ingress", "What one scan process takes in", measure)
