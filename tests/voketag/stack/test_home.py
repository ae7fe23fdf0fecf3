"""The data directory: secrets that are made once, ports that are remembered, one holder."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from voketag.stack.home import (
    StackError,
    choose_port,
    load_or_create_secrets,
    locked,
    port_is_free,
)

ROOT = Path(__file__).parents[3]


def test_secrets_are_made_once_and_are_private(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first, second = load_or_create_secrets(home), load_or_create_secrets(home)
    assert first.created
    assert not second.created
    assert first.admin_key == second.admin_key
    assert first.token_keys == second.token_keys
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "secrets.json").stat().st_mode) == 0o600
    assert [path.name for path in home.iterdir()] == ["secrets.json"]


def test_secrets_have_the_forms_that_the_settings_accept(tmp_path: Path) -> None:
    secrets = load_or_create_secrets(tmp_path)
    assert secrets.admin_key.startswith("vta_")
    assert len(secrets.admin_key) == 36
    key_id, secret = secrets.token_keys.split(":")
    assert 0 <= int(key_id) <= 255
    assert len(bytes.fromhex(secret)) == 32
    assert len(bytes.fromhex(secrets.hash_key)) == 32


def test_processes_that_start_at_once_agree_on_the_secrets(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; sys.stdin.read(1)\n"
        "from voketag.stack.home import load_or_create_secrets as load\n"
        "made = load(Path(sys.argv[1])); print(made.admin_key, made.created)"
    )
    racing = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "home")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for process in racing:
        assert process.stdin is not None
        process.stdin.write("x")
        process.stdin.flush()
    answers = [process.communicate()[0].split() for process in racing]
    assert len({admin_key for admin_key, _ in answers}) == 1
    assert [created for _, created in answers].count("True") == 1


def test_damaged_secrets_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text('{"admin_key": ')
    with pytest.raises(StackError, match="damaged"):
        load_or_create_secrets(tmp_path)
    assert (tmp_path / "secrets.json").read_text() == '{"admin_key": '


def test_a_held_directory_names_its_holder_and_is_free_afterwards(tmp_path: Path) -> None:
    with locked(tmp_path):  # noqa: SIM117
        with pytest.raises(StackError, match=f"pid {os.getpid()}"), locked(tmp_path):
            pass
    with locked(tmp_path):
        pass


def test_a_directory_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match="cannot be made"):
        load_or_create_secrets(tmp_path / "file" / "home")


def test_a_port_is_remembered_while_it_is_free(tmp_path: Path) -> None:
    port = choose_port(tmp_path, "redis")
    assert choose_port(tmp_path, "redis") == port
    assert choose_port(tmp_path, "postgres") != port
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        assert not port_is_free(port)
        assert choose_port(tmp_path, "redis") != port


def test_a_damaged_record_of_ports_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text("[1, 2")
    port = choose_port(tmp_path, "redis")
    assert choose_port(tmp_path, "redis") == port


def test_a_port_that_one_of_our_processes_will_have_is_not_chosen(tmp_path: Path) -> None:
    port = choose_port(tmp_path, "redis")
    assert choose_port(tmp_path, "redis", {port}) != port
