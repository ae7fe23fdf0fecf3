"""Ask whether a locked dependency is known to be vulnerable: pip-audit and npm audit.

Exits with 0 where all were checked and none is, with 1 where one is, and with 3 where some could
not be checked: a database that does not answer says nothing of anybody.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
TIMEOUT_S = 300.0
NONE_KNOWN, VULNERABLE, NOT_CHECKED = 0, 1, 3


def main() -> int:
    """The status to exit with."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pip-audit", default="pip-audit")
    parser.add_argument("--npm", default="npm")
    chosen = parser.parse_args()
    results = [
        _pip(chosen.pip_audit, lock) for lock in sorted((REPOSITORY / "requirements").glob("*.txt"))
    ]
    results.append(_npm(chosen.npm))
    if VULNERABLE in results:
        return VULNERABLE
    return NOT_CHECKED if NOT_CHECKED in results else NONE_KNOWN


def _pip(program: str, lock: Path) -> int:
    options = ["--require-hashes", "--disable-pip", "--progress-spinner=off", "--format=json"]
    answer = _answer([program, "-r", str(lock), *options])
    dependencies = answer.get("dependencies")
    if not isinstance(dependencies, list) or not dependencies:
        return _say(lock.name, 0, [], "no answer")
    skipped = [one["name"] for one in dependencies if "vulns" not in one]
    found = [
        f"{one['name']} {one['version']}: {vulnerability['id']}"
        for one in dependencies
        for vulnerability in one.get("vulns", ())
    ]
    why = f"{len(skipped)} of {len(dependencies)} are not in the database" if skipped else ""
    return _say(lock.name, len(dependencies) - len(skipped), found, why)


def _npm(program: str) -> int:
    answer = _answer([program, "audit", "--json"])
    found = answer.get("vulnerabilities")
    if not isinstance(found, dict):
        return _say("package-lock.json", 0, [], "no answer")
    checked = answer["metadata"]["dependencies"]["total"]
    return _say("package-lock.json", checked, sorted(found), "")


def _answer(command: list[str]) -> dict[str, Any]:
    """The JSON a program prints, whatever its status; empty where it prints none."""
    try:
        done = subprocess.run(
            command, cwd=REPOSITORY, capture_output=True, timeout=TIMEOUT_S, check=False
        )
        answer = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return {}
    return answer if isinstance(answer, dict) else {}


def _say(what: str, checked: int, found: list[str], not_checked: str) -> int:
    for line in found:
        print(f"{what}: VULNERABLE: {line}")
    if not_checked:
        print(f"{what}: NOT CHECKED: {not_checked}")
    if checked and not found:
        print(f"{what}: nothing is known against {checked} dependencies")
    if found:
        return VULNERABLE
    return NOT_CHECKED if not_checked else NONE_KNOWN


if __name__ == "__main__":
    raise SystemExit(main())
