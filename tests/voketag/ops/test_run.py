"""`voketag run` where it cannot start: one clear sentence, and nothing left running. That it does
start, and what it does then, is tests/test_flow.py's.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.command import Finished, environment, voketag
from voketag.ops.run import PORT_VARIABLES, with_ports

NOWHERE = {
    "VOKETAG_REDIS_URL": "redis://127.0.0.1:1",
    "VOKETAG_DATABASE_URL": "postgresql://127.0.0.1:1/none",
    "VOKETAG_CHAIN_URL": "http://127.0.0.1:1",
}


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which something listens that would share it, as our own processes do."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


async def refused(home: Path, variables: dict[str, str]) -> Finished:
    """Start it with servers that are not there, so that none is embedded."""
    ports = dict.fromkeys(PORT_VARIABLES, "0")
    found = await voketag("run", environ=environment(home, {**ports, **NOWHERE, **variables}))
    assert "Traceback" not in found.err
    assert not any(map(psutil.pid_exists, _recorded_pids(home)))
    return found


def _recorded_pids(home: Path) -> list[int]:
    return [int(path.read_text().split()[0]) for path in home.glob("pids/*")]


@pytest.mark.parametrize("variable", PORT_VARIABLES)
async def test_a_port_that_is_taken(tmp_path: Path, taken: int, variable: str) -> None:
    found = await refused(tmp_path, {variable: str(taken)})
    assert found.status == 1
    assert f"Port {taken} on 127.0.0.1" in found.err
    assert variable in found.err


async def test_one_port_for_two(tmp_path: Path) -> None:
    ports = dict.fromkeys(PORT_VARIABLES[:2], str(_free_port()))
    found = await refused(tmp_path, ports)
    assert found.status == 1
    assert "given to two of our processes" in found.err


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_every_unusable_setting_is_said_at_once(tmp_path: Path) -> None:
    found = await refused(tmp_path, {"VOKETAG_SHARDS": "0", "VOKETAG_ADMIN_KEY": "short"})
    assert found.status == 2
    assert "VOKETAG_SHARDS" in found.err
    assert "VOKETAG_ADMIN_KEY" in found.err


async def test_servers_that_do_not_answer(tmp_path: Path, redis_url: str) -> None:
    found = await refused(tmp_path, {})
    assert (found.status, "VOKETAG_REDIS_URL: no Redis answers" in found.err) == (1, True)
    found = await refused(tmp_path, {"VOKETAG_REDIS_URL": redis_url})
    assert (found.status, "VOKETAG_CHAIN_URL: no chain answers" in found.err) == (1, True)


async def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = await voketag("run", environ=environment(tmp_path / "file" / "home", NOWHERE))
    assert found.status == 1
    assert "cannot be made" in found.err


def test_a_port_of_0_is_any_free_one() -> None:
    chosen = with_ports({**dict.fromkeys(PORT_VARIABLES, "0"), "OTHER": "0"})
    ports = {chosen[variable] for variable in PORT_VARIABLES}
    assert len(ports - {"0"}) == len(PORT_VARIABLES)
    assert chosen["OTHER"] == "0"
    given = {PORT_VARIABLES[0]: "8080"}
    assert with_ports(given) == given
