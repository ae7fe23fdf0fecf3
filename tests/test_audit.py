"""The audit of the dependencies, with programs that answer as pip-audit and npm do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

AUDIT = Path(__file__).parents[1] / ".ci" / "audit.py"
CLEAN = {"dependencies": [{"name": "a", "version": "1", "vulns": []}]}
HURT = {"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1"}]}]}
SKIPPED = {"dependencies": [*CLEAN["dependencies"], {"name": "b", "skip_reason": "not there"}]}
NPM_CLEAN = {"vulnerabilities": {}, "metadata": {"dependencies": {"total": 3}}}
NPM_HURT = NPM_CLEAN | {"vulnerabilities": {"left-pad": {}}}
NPM_AWAY = {"error": {"summary": "the endpoint returned an error"}}


def program(folder: Path, name: str, answer: Any) -> str:
    path = folder / name
    text = answer if isinstance(answer, str) else json.dumps(answer)
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\nexit 1\n")
    path.chmod(0o700)
    return str(path)


@pytest.mark.parametrize(
    ("pip", "npm", "status"),
    [
        (CLEAN, NPM_CLEAN, 0),
        (HURT, NPM_CLEAN, 1),
        (CLEAN, NPM_HURT, 1),
        (HURT, NPM_AWAY, 1),
        (SKIPPED, NPM_CLEAN, 3),
        (CLEAN, NPM_AWAY, 3),
        ("connection refused", NPM_CLEAN, 3),
        ({"dependencies": []}, NPM_CLEAN, 3),
        (CLEAN, None, 3),
    ],
)
def test_what_could_not_be_checked_has_not_passed(
    tmp_path: Path, pip: Any, npm: Any, status: int
) -> None:
    found = str(tmp_path / "nowhere") if npm is None else program(tmp_path, "npm", npm)
    command = [sys.executable, str(AUDIT), "--pip-audit", program(tmp_path, "pip-audit", pip)]
    done = subprocess.run([*command, "--npm", found], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    assert ("VULNERABLE" in done.stdout) == (status == 1)
    if status == 3:
        assert "NOT CHECKED" in done.stdout
