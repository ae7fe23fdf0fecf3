"""Runs a load: closed, or open by the clock."""

from __future__ import annotations

import asyncio
import resource
import time
from collections import Counter, deque
from time import perf_counter_ns
from urllib.parse import urlsplit

from benchmarks.load.connection import Connection
from benchmarks.load.histogram import Histogram
from benchmarks.load.orders import Load, Measured
from benchmarks.load.scans import NextRequest
from benchmarks.load.ticks import ticking

# A server that ends connections at once is not connected to for ever.
_RECONNECTS_PER_CONNECTION = 20
_NS = 1_000_000_000


class _Run:
    """What both kinds of load have in common: connections, and the count of what came back."""

    def __init__(self, load: Load, request: NextRequest) -> None:
        self.load = load
        self.request = request
        self.sent = 0
        self.broken = 0
        self.in_flight = 0
        self.statuses: Counter[bytes] = Counter()
        self.latencies = Histogram()
        self.finished = asyncio.Event()
        self.begun_ns = self.end_ns = self.last_ns = 0
        self._connections: set[Connection] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._reconnects_left = _RECONNECTS_PER_CONNECTION * load.connections

    async def connect(self) -> None:
        """One more connection."""
        where = urlsplit(self.load.url)
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: Connection(self), where.hostname or "", where.port or 80
        )
        self._connections.add(connection)
        if self.begun_ns:
            self.free(connection)

    async def run(self) -> None:
        """Connect, send all there is to send, and wait for the answers."""
        await asyncio.gather(*(self.connect() for _ in range(self.load.connections)))
        self.begun_ns = self.last_ns = perf_counter_ns()
        self.end_ns = self.begun_ns + round(self.load.for_s * _NS)
        try:
            async with asyncio.timeout(self.load.for_s + self.load.answer_within_s):
                await self.send_all()
        except TimeoutError:
            pass  # what is in flight counts as unanswered
        finally:
            self.finished.set()
            for task in self._connecting:
                task.cancel()
            for connection in self._connections:
                connection.close()

    async def send_all(self) -> None:
        """Send all there is to send, and wait for the answers."""
        raise NotImplementedError

    def free(self, connection: Connection) -> None:
        """A connection can take a request: a new one, or one whose answer is there."""
        raise NotImplementedError

    @property
    def waiting(self) -> int:
        """The scans that are due and have no connection yet."""
        return 0

    def send(self, connection: Connection, due_ns: int) -> None:
        """Send the next scan, whose latency counts from `due_ns`."""
        self.sent += 1
        self.in_flight += 1
        connection.send(self.request(), due_ns)

    def answered(self, connection: Connection, status: bytes, now_ns: int) -> None:
        """Count an answer."""
        self.in_flight -= 1
        self.last_ns = now_ns
        self.statuses[status] += 1
        self.latencies.record((now_ns - connection.due_ns) // 1000)
        self.free(connection)

    def lost(self, connection: Connection, in_flight: bool) -> None:
        """Count the request that a connection took with it, and make another connection."""
        self._connections.discard(connection)
        if in_flight:
            self.broken += 1
            self.in_flight -= 1
        if self._reconnects_left and not self.finished.is_set():
            self._reconnects_left -= 1
            task = asyncio.create_task(self._reconnect())
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _reconnect(self) -> None:
        while not self.finished.is_set() and self._reconnects_left:
            try:
                await self.connect()
            except OSError:
                self._reconnects_left -= 1
                await asyncio.sleep(0.1)
            else:
                return


class _Closed(_Run):
    async def send_all(self) -> None:
        for connection in list(self._connections):
            self.free(connection)
        while perf_counter_ns() < self.end_ns and self.sent < self.load.requests_max:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        while self.in_flight:  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    def free(self, connection: Connection) -> None:
        now_ns = perf_counter_ns()
        if now_ns < self.end_ns and self.sent < self.load.requests_max:
            self.send(connection, now_ns)


class _Open(_Run):
    def __init__(self, load: Load, request: NextRequest, per_s: float) -> None:
        super().__init__(load, request)
        self.due = 0
        self._per_s = per_s
        self._due_in_all = min(load.requests_max, round(load.for_s * per_s))
        # In turn, so that none idles for so long that the server ends it.
        self._free: deque[Connection] = deque()
        self._waiting: deque[int] = deque()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def send_all(self) -> None:
        self._free.extend(self._connections)
        self.begun_ns = self.last_ns = perf_counter_ns()
        with ticking(1 / self._per_s, self._tick):
            await self.finished.wait()

    def free(self, connection: Connection) -> None:
        if self._waiting:
            self.send(connection, self._waiting.popleft())
        else:
            self._free.append(connection)
            self._finish_if_done()

    def lost(self, connection: Connection, in_flight: bool) -> None:
        if not in_flight and connection in self._free:
            self._free.remove(connection)
        super().lost(connection, in_flight)
        self._finish_if_done()

    def _tick(self) -> None:
        """Send what has become due."""
        passed_ns = perf_counter_ns() - self.begun_ns
        due = min(self._due_in_all, int(passed_ns * self._per_s / _NS) + 1)
        while self.due < due:
            due_ns = self.begun_ns + int(self.due / self._per_s * _NS)
            self.due += 1
            if self._free:
                self.send(self._free.popleft(), due_ns)
            else:
                self._waiting.append(due_ns)

    def _finish_if_done(self) -> None:
        if self.due >= self._due_in_all and not self._waiting and not self.in_flight:
            self.finished.set()


async def run(load: Load, request: NextRequest) -> Measured:
    """Run a load to its end. Raises OSError where nothing listens."""
    found = _Closed(load, request) if load.per_s is None else _Open(load, request, load.per_s)
    before = resource.getrusage(resource.RUSAGE_SELF)
    begun_at_s = time.time()
    await found.run()
    after = resource.getrusage(resource.RUSAGE_SELF)
    duration_s = (found.last_ns - found.begun_ns) / _NS
    latencies = found.latencies
    return Measured(
        sent=found.sent,
        statuses={status.decode(): count for status, count in found.statuses.items()},
        broken=found.broken,
        unanswered=found.in_flight + found.waiting,
        duration_s=duration_s,
        per_s=latencies.count / duration_s if duration_s else 0.0,
        mean_ms=latencies.mean_us / 1000,
        p50_ms=latencies.quantile_us(50) / 1000,
        p95_ms=latencies.quantile_us(95) / 1000,
        p99_ms=latencies.quantile_us(99) / 1000,
        p99_9_ms=latencies.quantile_us(99.9) / 1000,
        max_ms=latencies.max_us / 1000,
        cpu_s=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        begun_at_s=begun_at_s,
    )
