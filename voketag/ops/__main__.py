"""ops: factories, keys, statistics, reports, the live view and the dashboard."""

from __future__ import annotations

from voketag.ops.api import run
from voketag.process import main

if __name__ == "__main__":
    main(run)
