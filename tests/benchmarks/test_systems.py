"""A system is started, counts what it stores, and is measured process by process."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import appending
from benchmarks.peers import FASTSTREAM_SCAN, SEED_SCAN, Missing, Peer
from benchmarks.section import Bench
from benchmarks.systems import peer as peers
from benchmarks.systems import voketag
from benchmarks.systems.comparing import Candidate, in_rounds
from benchmarks.systems.processes import cpu_s_between, usage
from benchmarks.systems.system import System
from benchmarks.systems.written import counted
from voketag.stack.home import StackError
from voketag.topology import CONSUMERS

PRODUCTS = 100


@pytest.fixture(autouse=True)
def few_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voketag, "PRODUCTS", PRODUCTS)
    monkeypatch.setattr(peers, "PRODUCTS", PRODUCTS)


async def stores_what_it_accepts(system: System) -> None:
    await system.warm_up()
    before = system.usage()
    async with counted(system) as written:
        done = await system.drain(system.load(connections=4, for_s=0.3, per_s=100.0))
    assert done.fault is None
    assert done.measured.ok == 30
    assert await system.stored(0) == 30 + PRODUCTS * 3 // 2
    assert done.stored_per_s < done.measured.per_s
    assert written.postgres_log > 0
    used = cpu_s_between(before, system.usage())
    assert set(used) == set(system.pids())
    assert all(s >= 0 for s in used.values())


async def test_voketag(tmp_path: Path) -> None:
    async with voketag.started(tmp_path) as system:
        await stores_what_it_accepts(system)
        assert set(system.program_names) >= {"scan", "factory", "ops", *CONSUMERS}
        assert set(system.pids()) == {*system.program_names, "redis", "postgres", "chain"}
        assert set(system.pids(servers=False)) == set(system.program_names)
        appended = await appending.append(
            system.servers.environment["VOKETAG_REDIS_URL"], {b"field": b"value"}, for_s=0.05
        )
        assert appended.entries % appending.PIPELINE == 0 < appended.per_s
        assert not await system.redis.exists("benchmark:append")


def first_installed(folder: Path) -> Peer:
    """Either will do: tests/benchmarks/test_peers.py has every peer do its work."""
    for peer in (SEED_SCAN, FASTSTREAM_SCAN):
        assert peer.build is not None
        with contextlib.suppress(Missing):
            peer.build(folder)
            return peer
    pytest.skip("no peer that scans is installed")


async def test_a_peer(tmp_path: Path) -> None:
    built, folder = tmp_path / "built", tmp_path / "run"
    built.mkdir()
    folder.mkdir()
    peer = first_installed(built)
    async with peers.started(peer, built, folder) as system:
        await stores_what_it_accepts(system)
        assert set(system.pids()) == {*system.program_names, "redis", "postgres"}
        for directive, value in peer.redis.items():
            assert (await system.redis.config_get(directive))[directive] == value


class Broken(contextlib.AbstractAsyncContextManager[System]):
    """A system that does not start."""

    def __init__(self, folder: Path) -> None:
        (folder / "programs.log").write_text("scan: it broke\n")

    async def __aenter__(self) -> System:
        raise StackError("it did not start")

    async def __aexit__(self, *_: object) -> None:
        """It is never reached."""


async def test_where_a_system_fails_its_last_words_are_said(tmp_path: Path) -> None:
    async def measure(_: System) -> None:
        """It is never reached."""

    said: list[str] = []
    bench = Bench(tmp_path, rounds=2, scale=1.0, say=said.append)
    with pytest.raises(StackError):
        await in_rounds(bench, [Candidate("broken", Broken)], measure)
    assert said == ["round 1 of 2: broken", "the end of programs.log:", "scan: it broke"]


def test_the_processor_time_of_children_counts() -> None:
    burn = "import time\nwhile time.process_time() < 0.15: pass"
    run = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}])\n"
    process = subprocess.Popen(
        [sys.executable, "-c", run + "print()\ninput()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    said, read = process.stdout, list[float]()
    assert said is not None
    try:
        while not select.select([said], [], [], 0)[0]:
            read.append(usage({"it": process.pid})["it"].cpu_s)
        found = usage({"it": process.pid, "gone": 2**22 - 1, "us": os.getpid()})
    finally:
        process.communicate(b"\n")
    assert read == sorted(read), "what a child took was lost as it ended"
    assert found["it"].cpu_s >= 0.15
    assert 0 < found["it"].pss_bytes <= found["it"].rss_bytes
    assert found["gone"].rss_bytes == 0
