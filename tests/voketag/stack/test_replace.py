"""A program's successor, its listening socket, and how soon it lives again after a kill."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from tests.servers import eventually
from voketag.stack import supervise
from voketag.stack.home import StackError
from voketag.stack.program import Program
from voketag.stack.supervise import Supervisor

# Answers every connection with its pid. With a file of that name it is a bad version.
SERVER = """
import os, socket, sys, time
from pathlib import Path
if Path(sys.argv[1]).exists():
    sys.exit(Path(sys.argv[1]).read_text() or time.sleep(600))
listener = socket.socket(fileno=3)
listener.setblocking(True)
teller = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
teller.sendto(b"STATUS=warm\\nREADY=1\\n", os.environ["NOTIFY_SOCKET"])
while True:
    connection, _ = listener.accept()
    connection.sendall(str(os.getpid()).encode())
    connection.close()
"""
DESCRIPTORS = "import os; print(*sorted(map(int, os.listdir('/proc/self/fd'))))"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Floor:
    """A supervisor with one program that listens."""

    def __init__(self, folder: Path) -> None:
        self.reports: list[str] = []
        self.output: list[str] = []
        self.home = folder / "home"
        self.home.mkdir()
        self.bad = folder / "bad"
        self.port = free_port()
        self.supervisor = Supervisor(self.home, os.environ, self.reports.append, self.output.append)

    async def start(self, ready_timeout_s: float = 20.0, stop_grace_s: float = 10.0) -> None:
        argv = (sys.executable, "-c", SERVER, str(self.bad))
        await self.supervisor.start(
            Program(
                "scan",
                argv,
                tells_ready=True,
                ready_timeout_s=ready_timeout_s,
                stop_grace_s=stop_grace_s,
                listen=("127.0.0.1", self.port),
            )
        )

    @property
    def pid(self) -> int:
        pid = self.supervisor.pid("scan")
        assert pid is not None
        return pid

    async def answers(self) -> int:
        """The process that answers a new connection."""
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
        return int(answer)


@pytest.fixture
async def floor(tmp_path: Path) -> AsyncIterator[Floor]:
    made = Floor(tmp_path)
    yield made
    await made.supervisor.stop()
    assert not list((made.home / "pids").iterdir())


async def test_f9_a_successor_takes_over_once_it_is_ready(floor: Floor) -> None:
    await floor.start()
    first = floor.pid
    assert await floor.answers() == first
    await floor.supervisor.replace("scan")
    assert await floor.answers() == floor.pid != first
    assert not psutil.pid_exists(first)
    assert [path.name for path in (floor.home / "pids").iterdir()] == ["scan"]
    second = floor.pid
    await floor.supervisor.kill("scan")  # it is kept as its predecessor was
    assert await floor.answers() not in (first, second)
    assert floor.reports == ["scan died (signal 9), started again in 0.1 s"]


async def test_f9_connections_that_wait_for_the_predecessor_are_the_successors(
    floor: Floor,
) -> None:
    await floor.start(stop_grace_s=0.2)
    first = floor.pid
    os.kill(first, signal.SIGSTOP)  # it accepts nothing any more: they wait in the queue
    await eventually(lambda: psutil.Process(first).status() == psutil.STATUS_STOPPED)
    waiting = [asyncio.create_task(floor.answers()) for _ in range(20)]
    await floor.supervisor.replace("scan")
    assert floor.pid != first
    assert set(await asyncio.gather(*waiting)) == {floor.pid}
    assert floor.reports == ["scan did not stop in 0.2 s: killed"]


@pytest.mark.parametrize(("version", "reason"), [("no", "exit status 1"), ("", "not ready in 1 s")])
async def test_f9_a_successor_that_fails_leaves_the_predecessor_in_its_place(
    floor: Floor, version: str, reason: str
) -> None:
    await floor.start(ready_timeout_s=1.0)
    first = floor.pid
    floor.bad.write_text(version)
    with pytest.raises(StackError, match=rf"scan was not replaced: .*\({reason}\)"):
        await floor.supervisor.replace("scan")
    assert await floor.answers() == floor.pid == first
    assert [path.name for path in (floor.home / "pids").iterdir()] == ["scan"]


async def test_a_program_that_dies_while_its_successor_starts_is_replaced_all_the_same(
    floor: Floor,
) -> None:
    await floor.start()
    first = floor.pid
    floor.bad.write_text("")
    replacing = asyncio.create_task(floor.supervisor.replace("scan"))
    await eventually((floor.home / "pids" / "scan.successor").exists)
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: floor.supervisor.pid("scan") not in (None, first))
    waiting = int((floor.home / "pids" / "scan.successor").read_text().split()[0])
    floor.bad.unlink()
    os.kill(waiting, signal.SIGKILL)
    with pytest.raises(StackError, match="was not replaced"):
        await replacing
    await floor.supervisor.kill("scan")  # the next life is a good one
    await floor.supervisor.ready("scan")
    await floor.supervisor.replace("scan")
    assert await floor.answers() == floor.pid


async def test_a_stop_amid_a_replacement_leaves_nothing_running(floor: Floor) -> None:
    await floor.start()
    floor.bad.write_text("")
    replacing = asyncio.create_task(floor.supervisor.replace("scan"))
    await eventually((floor.home / "pids" / "scan.successor").exists)
    paths = list((floor.home / "pids").iterdir())
    pids = [int(path.read_text().split()[0]) for path in paths]
    await floor.supervisor.stop()
    with pytest.raises(StackError, match="was not replaced"):
        await replacing
    assert not any(map(psutil.pid_exists, pids))
    with pytest.raises(StackError, match="scan is not running"):
        await floor.supervisor.replace("scan")


async def test_f9_connections_wait_for_the_next_life(floor: Floor) -> None:
    await floor.start()
    first = floor.pid
    await floor.supervisor.kill("scan")
    assert len({first, *await asyncio.gather(*(floor.answers() for _ in range(20)))}) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
async def test_no_other_program_inherits_the_socket(floor: Floor) -> None:
    await floor.start()
    await floor.supervisor.start(Program("other", (sys.executable, "-c", DESCRIPTORS)))
    await eventually(lambda: any(line.startswith("other") for line in floor.output))
    # The fourth is that of the directory which it reads.
    assert floor.output[0] == "other    | 0 1 2 3"


async def test_a_port_that_is_taken_is_told(floor: Floor) -> None:
    said = f"port {floor.port} on 127.0.0.1 cannot be used"
    with socket.create_server(("127.0.0.1", floor.port)), pytest.raises(StackError, match=said):
        await floor.start()
    await floor.start()


async def test_f9_one_that_was_ready_and_is_killed_lives_again_at_once(floor: Floor) -> None:
    await floor.start()
    for _ in range(4):
        await floor.supervisor.kill("scan")
        await floor.supervisor.ready("scan")
    assert floor.reports == ["scan died (signal 9), started again in 0.1 s"] * 4


async def test_one_that_is_killed_all_the_time_lives_again_ever_more_slowly(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "KILLS", 2)
    monkeypatch.setattr(supervise, "STEADY_S", 600.0)
    await floor.start()
    for _ in range(4):
        await floor.supervisor.kill("scan")
        await floor.supervisor.ready("scan")
    assert floor.reports == [
        f"scan died (signal 9), started again in {delay} s" for delay in (0.1, 0.1, 0.2, 0.4)
    ]
