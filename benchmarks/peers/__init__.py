"""The systems VokeTag is measured against, each as good as its design allows. See README.md."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.peers.peer import Missing, Peer, Programs

__all__ = [
    "FASTSTREAM_SCAN",
    "PEERS",
    "SEED_FACTORY",
    "SEED_SCAN",
    "SEED_SCAN_ALONE",
    "Missing",
    "Peer",
]

_HERE = Path(__file__).parent
_ENVIRONMENT = _HERE.parents[1] / ".venv-peers"
_PYTHON = str(_ENVIRONMENT / "bin" / "python")
# Where Debian puts the sources of Go libraries, and the packages that bring ours.
_GO_LIBRARIES = Path("/usr/share/gocode")
_GO_IMPORTS = ("github.com/gomodule/redigo/redis", "github.com/jackc/pgx/v4")
_GO_PACKAGES = "golang-go golang-github-gomodule-redigo-dev golang-github-jackc-pgx-v4-dev"
_WORKERS = 4


def _build_go(source: Path, folder: Path) -> None:
    """Compile the program in `source` from Debian's packages alone: nothing is downloaded."""
    go = shutil.which("go")
    found = [(_GO_LIBRARIES / "src" / name).is_dir() for name in _GO_IMPORTS]
    if go is None or not all(found):
        raise Missing(f"Go or its libraries are not installed: apt-get install {_GO_PACKAGES}")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GO")}
    environ = kept | {
        "GO111MODULE": "off",
        "GOPATH": str(_GO_LIBRARIES),
        "CGO_ENABLED": "0",
    }
    command = [go, "build", "-trimpath", "-o", str(folder / source.name), "."]
    done = subprocess.run(
        command, cwd=source, env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{source.name} does not compile:\n{done.stderr}")


def _find_python(_folder: Path) -> None:
    """Nothing to build, but the libraries have to be there."""
    if not Path(_PYTHON).exists():
        raise Missing("the Python peers' libraries are not installed: make peers")


def _seed_scan(folder: Path, arguments: Sequence[str] = ()) -> Programs:
    return {"scan": [str(folder / "seed_scan"), *arguments]}


def _seed_factory(_folder: Path) -> Programs:
    worker = [_PYTHON, "-m", "celery", "-A", "benchmarks.peers.seed_factory.worker", "worker"]
    options = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-O", "fair"]
    return {
        "api": [_PYTHON, "-m", "benchmarks.peers.seed_factory.api"],
        "worker": [*worker, "--concurrency", str(_WORKERS), "--loglevel", "warning", *options],
    }


def _faststream_scan(_folder: Path) -> Programs:
    consumer = "benchmarks.peers.faststream_scan.consumer:app"
    return {
        "api": [_PYTHON, "-m", "benchmarks.peers.faststream_scan.api"],
        "consumer": [_PYTHON, "-m", "faststream", "run", consumer],
    }


SEED_SCAN = Peer(
    name="seed: Go, INSERT in the request",
    schema=_HERE / "seed_scan" / "schema.sql",
    build=partial(_build_go, _HERE / "seed_scan"),
    programs=_seed_scan,
    # It holds a cache and counters; what a crash takes from it was never promised.
    redis={"appendonly": "no", "save": ""},
)
# The seed's drawing to the letter: its requests know nothing of one another.
SEED_SCAN_ALONE = replace(
    SEED_SCAN,
    name="seed: Go, round trips not shared",
    programs=partial(_seed_scan, arguments=("-alone",)),
)
SEED_FACTORY = Peer(
    name="seed: FastAPI + Celery, COPY",
    schema=_HERE / "seed_factory" / "schema.sql",
    build=_find_python,
    programs=_seed_factory,
    # It holds the queue; what managed Redis offers for that is a flush a second.
    redis={"appendonly": "yes", "appendfsync": "everysec"},
)
FASTSTREAM_SCAN = Peer(
    name="FastAPI + FastStream, Redis Streams",
    schema=_HERE / "seed_scan" / "schema.sql",
    build=_find_python,
    programs=_faststream_scan,
    redis={"appendonly": "yes", "appendfsync": "everysec"},
)
PEERS = (SEED_SCAN, SEED_SCAN_ALONE, SEED_FACTORY, FASTSTREAM_SCAN)
