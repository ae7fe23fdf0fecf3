"""The ledger is what the audit believes."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.ledger import Ledger, Line, read


def test_what_was_written_is_read_in_order(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.write("scan", "attempted", "a")
    ledger.write("batch", "accepted", "b", "id", 7)
    ledger.close()
    assert list(read(ledger.path)) == [
        Line("scan", "attempted", "a"),
        Line("batch", "accepted", "b", "id", 7),
    ]
    assert ledger.accepted == {"batch": 1}


def test_a_line_that_a_crash_cut_off_was_never_written(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    ledger = Ledger(path)
    ledger.write("scan", "attempted", "a")
    ledger.write("scan", "accepted", "a")
    ledger.close()
    path.write_bytes(path.read_bytes()[:-3])
    assert list(read(path)) == [Line("scan", "attempted", "a")]


def test_a_ledger_is_of_one_run(tmp_path: Path) -> None:
    Ledger(tmp_path / "ledger").close()
    with pytest.raises(FileExistsError):
        Ledger(tmp_path / "ledger")
