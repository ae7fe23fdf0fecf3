"""What a process takes of its machine, as metrics."""

from __future__ import annotations

import os
import time

import psutil
from prometheus_client import CollectorRegistry

from voketag.own_process import OwnProcess

CPU, MEMORY = "voketag_process_cpu_seconds_total", "voketag_process_memory_bytes"


def test_it_is_what_the_system_says() -> None:
    registry = CollectorRegistry()
    OwnProcess(registry)
    known = psutil.Process().memory_info().rss
    memory = registry.get_sample_value(MEMORY)
    assert memory is not None
    assert known / 2 < memory < known * 2
    before = registry.get_sample_value(CPU)
    assert before is not None
    started = time.process_time()
    while time.process_time() < started + 0.1:
        os.getpid()
    after = registry.get_sample_value(CPU)
    assert after is not None
    assert after >= before + 0.05  # the system counts in hundredths
