"""Fuzz every target for an equal share of the seconds given: `python -m fuzz SECONDS [TARGET]`.

Each runs in a process of its own, guided by the coverage of our code (libFuzzer through atheris).
Prints how many inputs each was tried with. Exits with 1 where one of them was a finding; the input
that made it is printed, and kept in `.fuzz/` with what was learnt, from where the next run goes on.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CORPUS = Path(".fuzz")
RUNS = re.compile(r"Done (\d+) runs")
SLOW_INPUT_S = 10
MEMORY_MB = 1024
MOST_BYTES = 4096


def main(arguments: list[str]) -> int:
    """The status to exit with."""
    seconds = int(arguments[0]) if arguments else 60
    from fuzz.targets import TARGETS

    chosen = arguments[1:] or list(TARGETS)
    found = [name for name in chosen if not _fuzz(name, max(1, seconds // len(chosen)))]
    print(f"findings: {', '.join(found) or 'none'}")
    return 1 if found else 0


def _fuzz(name: str, seconds: int) -> bool:
    """Whether a target stands all it is tried with."""
    corpus = CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    command = [
        *(sys.executable, "-m", "fuzz.one", name, str(corpus), f"-artifact_prefix={CORPUS}/"),
        *(f"-max_total_time={seconds}", f"-timeout={SLOW_INPUT_S}", f"-max_len={MOST_BYTES}"),
        *(f"-rss_limit_mb={MEMORY_MB}", "-print_final_stats=1"),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    said = done.stdout.decode(errors="replace")
    runs = RUNS.search(said) or re.search(r"number_of_executed_units: (\d+)", said)
    stood = done.returncode == 0 and runs is not None
    print(f"{name:15} {int(runs[1]) if runs else 0:>10} inputs in {seconds} s", flush=True)
    if not stood:
        print(said[-4000:], flush=True)
    return stood


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
