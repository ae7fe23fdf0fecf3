"""Supervision: restart with backoff and one line, stop with grace, output, leftovers."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.servers import eventually
from voketag.stack import leftovers
from voketag.stack.home import StackError
from voketag.stack.program import Program, read_procfile
from voketag.stack.supervise import Supervisor

SLEEP = "import time; time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf')\n" + SLEEP


class Recorder:
    """A supervisor whose lines are kept."""

    def __init__(self, home: Path) -> None:
        self.reports: list[str] = []
        self.output: list[str] = []
        self.supervisor = Supervisor(home, os.environ, self.reports.append, self.output.append)

    def printed(self, text: str) -> bool:
        return any(text in line for line in self.output)


def python(name: str, code: str, **options: object) -> Program:
    return Program(name, (sys.executable, "-c", code), **options)  # type: ignore[arg-type]


def leave_running(code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-uc", code], stdout=subprocess.PIPE)


async def test_a_program_that_dies_is_started_again_with_one_line(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    supervisor = recorder.supervisor
    await supervisor.start(python("score", SLEEP))
    first = supervisor.pid("score")
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: supervisor.pid("score") not in (None, first))
    assert recorder.reports == ["score died (signal 9), started again in 0.1 s"]
    await supervisor.stop()
    assert len(recorder.reports) == 1


async def test_one_that_keeps_dying_is_started_ever_more_slowly(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    await recorder.supervisor.start(python("score", "raise SystemExit(3)"))
    await eventually(lambda: len(recorder.reports) >= 3)
    await recorder.supervisor.stop()
    assert recorder.reports[:3] == [
        f"score died (exit status 3), started again in {delay} s" for delay in (0.1, 0.2, 0.4)
    ]


async def test_stop_waits_for_the_grace_and_then_kills(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    await recorder.supervisor.start(python("deaf", DEAF, stop_grace_s=0.2))
    await eventually(lambda: recorder.printed("deaf"))
    pid = recorder.supervisor.pid("deaf")
    assert pid is not None
    await recorder.supervisor.stop()
    assert recorder.reports == ["deaf did not stop in 0.2 s: killed"]
    assert not psutil.pid_exists(pid)


async def test_stop_during_the_wait_before_a_restart_does_not_wait(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    await recorder.supervisor.start(python("score", "raise SystemExit(3)"))
    await eventually(lambda: len(recorder.reports) == 4)
    began = time.monotonic()
    await recorder.supervisor.stop()
    assert time.monotonic() - began < 0.5


async def test_output_is_passed_on_with_its_name_to_the_last_word(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    code = "import sys; print('one'); print('x' * 200_000); sys.stderr.write('no newline')"
    await recorder.supervisor.start(python("scan", code))
    await eventually(lambda: len(recorder.reports) >= 1)
    await recorder.supervisor.stop()
    assert recorder.output[:3] == ["scan     | one", f"scan     | {'x' * 200_000}",
                                   "scan     | no newline"]  # fmt: skip


async def test_a_first_start_that_fails_is_told_with_the_end_of_the_log(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)

    async def never() -> bool:
        return False

    log = tmp_path / "redis.log"
    program = python("redis", "print('out of luck'); raise SystemExit(2)", log=log, ready=never)
    with pytest.raises(StackError, match=r"redis did not start \(exit status 2\)") as failure:
        await recorder.supervisor.start(program)
    assert "out of luck" in str(failure.value)
    assert recorder.reports == []


async def test_one_that_never_gets_ready_is_ended_and_told(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)

    async def never() -> bool:
        return False

    program = python("redis", SLEEP, ready=never, ready_timeout_s=0.2)
    with pytest.raises(StackError, match=r"redis did not start \(not ready in 0.2 s\)"):
        await recorder.supervisor.start(program)


async def test_trouble_that_nobody_foresaw_is_told_and_leaves_nothing_running(
    tmp_path: Path,
) -> None:
    recorder = Recorder(tmp_path)

    async def broken() -> bool:
        raise RuntimeError("unforeseen")

    with pytest.raises(StackError, match=r"redis did not start \(unforeseen\)"):
        await recorder.supervisor.start(python("redis", SLEEP, ready=broken))
    # The record of its pid cannot be written: it must not run where no one would find it again.
    (tmp_path / "pids").rmdir()
    (tmp_path / "pids").write_text("")
    marker = "import time; time.sleep(601)"
    with pytest.raises(StackError, match="redis did not start"):
        await recorder.supervisor.start(python("redis", marker))
    children = psutil.Process().children(recursive=True)
    assert not any(marker in child.cmdline() for child in children)


async def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    with pytest.raises(StackError, match="No such file"):
        await recorder.supervisor.start(Program("ghost", ("/nonexistent/ghost",)))


async def test_a_start_that_is_given_up_leaves_nothing_running(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)

    async def never() -> bool:
        return False

    starting = asyncio.create_task(recorder.supervisor.start(python("slow", SLEEP, ready=never)))
    await eventually(lambda: (tmp_path / "pids" / "slow").exists())
    pid = int((tmp_path / "pids" / "slow").read_text().split()[0])
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not psutil.pid_exists(pid)
    assert not (tmp_path / "pids" / "slow").exists()


async def test_leftovers_are_ended_and_strangers_left_alone(tmp_path: Path) -> None:
    left = leave_running(SLEEP)
    leftovers.record(tmp_path, "score", left.pid, signal.SIGTERM)
    # A pid that was given out again: ours, but recorded as made long ago.
    (tmp_path / "pids" / "scan").write_text(f"{os.getpid()} 1000.00 15\n")
    (tmp_path / "pids" / "gone").write_text(f"{2**22 + 1} 1000.00 15\n")
    (tmp_path / "pids" / "damaged").write_text("")
    assert await leftovers.sweep(tmp_path) == ["score"]
    assert left.stdout is not None
    left.stdout.close()
    assert left.wait(0) == -signal.SIGTERM
    assert list((tmp_path / "pids").iterdir()) == []


async def test_a_deaf_leftover_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "GRACE_S", 0.2)
    left = leave_running(DEAF)
    assert left.stdout is not None
    assert left.stdout.readline() == b"deaf\n"
    leftovers.record(tmp_path, "score", left.pid, signal.SIGTERM)
    assert await leftovers.sweep(tmp_path) == ["score"]
    assert left.wait(0) == -signal.SIGKILL
    left.stdout.close()


def test_a_procfile_is_read_in_order(tmp_path: Path) -> None:
    procfile = tmp_path / "Procfile"
    procfile.write_text("# ours\nscan: python -m producers.scan\n\nother: sh -c 'echo  two'\n")
    assert read_procfile(procfile) == [
        Program("scan", (sys.executable, "-m", "producers.scan")),
        Program("other", ("sh", "-c", "echo  two")),
    ]


@pytest.mark.parametrize("line", ["scan", "scan:", ": python -m x"])
def test_a_procfile_line_that_is_none_is_named(tmp_path: Path, line: str) -> None:
    procfile = tmp_path / "Procfile"
    procfile.write_text(f"ops: python -m ops\n{line}\n")
    with pytest.raises(StackError, match="line 2"):
        read_procfile(procfile)
