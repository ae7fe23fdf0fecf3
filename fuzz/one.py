"""One target under libFuzzer: `python -m fuzz.one TARGET CORPUS [libFuzzer's options]`."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris


def main() -> None:
    """Run until libFuzzer's options say stop, or something is found."""
    name, corpus, *options = sys.argv[1:]
    # What is imported here is instrumented: our code, of which coverage is to be gained.
    with atheris.instrument_imports(include=["fuzz.targets", "producers", "voketag"]):
        from fuzz.targets import TARGETS, seeds
    for number, seed in enumerate(seeds()[name]):
        Path(corpus, f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], corpus, *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
