"""Copies of programs: what they are called, where they listen, which are meant."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.voketag.stack.test_replace import SERVER, free_port
from voketag.stack.formation import Formation, chosen
from voketag.stack.home import StackError
from voketag.stack.program import Program
from voketag.stack.supervise import Supervisor

PROCFILE = [
    Program("scan", ("python",)),
    Program("score", ("python",)),
    Program("ops", ("python",)),
]
CONNECTIONS = 40


def test_copies_have_names_of_their_own_and_the_address_of_all() -> None:
    scan, ops = ("127.0.0.1", 8080), ("127.0.0.1", 8082)
    programs = Formation({"scan": scan, "ops": ops}, {"scan": 3, "score": 2}).programs(PROCFILE)
    assert [program.name for program in programs] == [
        *("scan", "scan.2", "scan.3"),
        *("score", "score.2"),
        "ops",
    ]
    assert [(program.listen, program.shares_port) for program in programs] == [
        *[(scan, True)] * 3,
        *[(None, True)] * 2,
        (ops, False),
    ]


def test_copies_of_what_is_not_there_are_refused() -> None:
    with pytest.raises(StackError, match=r"no program skore; it has scan, score, ops"):
        Formation(copies={"skore": 2}).programs(PROCFILE)


def test_a_name_means_every_copy_and_a_number_one() -> None:
    names = ["scan", "scan.2", "score", "score.2", "score.12"]
    assert chosen(names, []) == names
    assert chosen(names, ["score"]) == ["score", "score.2", "score.12"]
    assert chosen(names, ["scan.2", "score.12"]) == ["scan.2", "score.12"]


async def test_each_copy_gets_a_part_of_the_connections(tmp_path: Path) -> None:
    """Also after one of them was replaced: its socket outlives it."""
    port = free_port()
    supervisor = Supervisor(tmp_path, os.environ, lambda _: None, lambda _: None)
    line = Program("scan", (sys.executable, "-c", SERVER, str(tmp_path / "bad")))
    programs = Formation({"scan": ("127.0.0.1", port)}, {"scan": 2}).programs([line])
    try:
        await asyncio.gather(*(supervisor.start(program) for program in programs))
        first = [supervisor.pid(program.name) for program in programs]
        assert set(await _answering(port)) == set(first)
        await supervisor.replace("scan.2")
        second = [supervisor.pid(program.name) for program in programs]
        assert second[0] == first[0]
        assert second[1] != first[1]
        assert set(await _answering(port)) == set(second)
    finally:
        await supervisor.stop()


async def _answering(port: int) -> Counter[int]:
    """The processes that answer new connections."""

    async def ask() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        pid = int(await reader.read())
        writer.close()
        return pid

    async with asyncio.timeout(20):
        return Counter(await asyncio.gather(*(ask() for _ in range(CONNECTIONS))))
