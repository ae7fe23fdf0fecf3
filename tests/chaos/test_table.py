"""What a run says at its end."""

from __future__ import annotations

from collections import Counter

from chaos.findings import Audit, Row
from chaos.table import Recovery, Told, lines


def told(recovery: Recovery) -> Told:
    inflicted = Counter({("kill", "scan"): 3, ("stop", "redis"): 1})
    return Told(42, 90.0, 100.0, inflicted, recovery, Counter({"503": 12}))


def test_a_sound_run() -> None:
    recovery = Recovery()
    for took_s in (1.0, 2.0, 0.5):
        recovery.note(took_s, f"something of {took_s} s")
    rows = [Row("scans", attempted=1200, accepted=1100, stored=1150)]
    text = "\n".join(lines(told(recovery), Audit(rows, facts=["a fact"])))
    assert "3 kill -9 and 1 other faults in 1.5 min, at 100 scans a second; seed 42" in text
    assert "median 1.0 s, p99 2.0 s, longest 2.0 s (after something of 2.0 s)" in text
    assert "12 503" in text
    (scans,) = [line.split() for line in text.splitlines() if line.startswith("scans")]
    assert scans == ["scans", "1,200", "1,100", "1,150", "0", "0", "0", "0"]
    assert text.endswith("lost 0, duplicates 0: everything accepted is there, once")


def test_a_run_that_found_something() -> None:
    text = "\n".join(lines(told(Recovery()), Audit(findings=["scans: 3 lost"])))
    assert "FOUND 1:\n  scans: 3 lost" in text
    assert "lost 0" not in text


def test_the_percentile_of_recoveries_is_one_of_them() -> None:
    recovery = Recovery()
    for hundredths in range(1, 101):
        recovery.note(hundredths / 100, "x")
    assert recovery.percentile(0.5) == 0.5
    assert recovery.percentile(0.99) == 0.99
    assert recovery.percentile(1) == 1.0
    assert Recovery().percentile(0.99) == 0.0
