"""A place for `voketag run` with two small workers."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.two_workers import WORKER


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a Procfile of two workers that any user may reach, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="voketag-"))
    folder.chmod(0o755)
    (folder / "worker.py").write_text(WORKER)
    (folder / "Procfile").write_text(
        "".join(f"{name}: python {folder}/worker.py {name}\n" for name in ("one", "two"))
    )
    yield folder
    shutil.rmtree(folder)
