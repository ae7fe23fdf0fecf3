"""`python -m benchmarks.load`: a Load as JSON on standard input, a Measured on standard output."""

from __future__ import annotations

import gc
import sys

import msgspec
import uvloop

from benchmarks.load import running, scans
from benchmarks.load.orders import Load


def main() -> None:
    """Run one load."""
    load = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    request = scans.requests(load)
    # A collection would walk through every request, and its pause would be told as a latency.
    gc.collect()
    gc.freeze()
    gc.disable()
    measured = uvloop.run(running.run(load, request))
    sys.stdout.buffer.write(msgspec.json.encode(measured))


if __name__ == "__main__":
    main()
