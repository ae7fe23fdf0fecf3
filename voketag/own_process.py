"""What this process takes of its machine, read when its metrics are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_RESIDENT_PAGES = 1  # its place in statm, see proc(5)


class OwnProcess(Collector):
    """The processor time and the memory of this process, as metrics of `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        registry.register(self)

    def describe(self) -> Iterator[Metric]:
        """The metrics without a sample."""
        yield CounterMetricFamily(
            "voketag_process_cpu_seconds", "Processor time of a process, in user and system mode."
        )
        yield GaugeMetricFamily(
            "voketag_process_memory_bytes",
            "Memory of a process that is resident; absent where there is no /proc.",
        )

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now."""
        cpu, memory = self.describe()
        times = os.times()
        cpu.add_sample("voketag_process_cpu_seconds_total", {}, times.user + times.system)
        resident = _resident_bytes()
        if resident is not None:
            memory.add_sample("voketag_process_memory_bytes", {}, resident)
        yield from (cpu, memory)


def _resident_bytes() -> int | None:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[_RESIDENT_PAGES])
    except FileNotFoundError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
