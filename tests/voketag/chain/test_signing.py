"""What signing brings along."""

from __future__ import annotations

import subprocess
import sys


def test_the_signing_library_does_not_lift_the_recursion_limit() -> None:
    """At the limit it wants, a body of 100,000 brackets ends the process instead of the request."""
    program = (
        "import sys; before = sys.getrecursionlimit(); "
        "from voketag.chain import signing; signing.Sender(signing.DEVELOPMENT_KEY, 1); "
        "sys.exit(sys.getrecursionlimit() != before)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
