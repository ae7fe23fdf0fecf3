"""What a run has found is kept section by section, judged against its targets and drawn."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks import __main__ as program
from benchmarks.discovery import all_sections
from benchmarks.report import machine, results, table
from benchmarks.section import Bench, Figure, Found, Section, Target

OURS = Figure("stored", "VokeTag", "scans/s", (300.0, 100.0, 200.0))
THEIRS = Figure("stored", "Go", "scans/s", (100.0, 100.0, 100.0))
WAIT = Figure("p99 at 660 a second", "VokeTag", "ms", (9.0, 7.0, 8.0))
TARGETS = (
    Target("ratio", OURS, THEIRS, at_least=1.5, aim=2.5),
    Target("far ratio", OURS, THEIRS, at_least=3.0, aim=4.0),
    Target("wait, ms", WAIT, at_least=9.0, aim=8.0, better="less"),
    Target("failed", Figure("failed", "VokeTag", "scans", (0.0,) * 3), at_least=0, better="less"),
    Target("shown", OURS, THEIRS),
)
NOTE = "Go NOT MEASURED: nobody installed it"


def section(name: str, *, fails: bool = False) -> Section:
    async def measure(bench: Bench) -> Found:
        assert list(bench.folder.iterdir()) == []
        if fails:
            raise RuntimeError("it broke")
        return Found((OURS, THEIRS, WAIT), TARGETS, (NOTE,))

    return Section(name, f"the {name}", measure)


@pytest.fixture
def kept() -> dict[str, Any]:
    found = Found((OURS, THEIRS, WAIT), TARGETS, (NOTE,))
    taken = {"date": "2026-01-02T03:04:05+00:00", "commit": "abc"}
    return results.of_section(section("one"), found, 3, 0.5, taken)


def test_targets_are_judged_by_the_median_of_the_rounds(kept: dict[str, Any]) -> None:
    by_name = {target["name"]: target for target in kept["targets"]}
    ratio = by_name["ratio"]
    assert (ratio["least"], ratio["median"], ratio["most"]) == (1.0, 2.0, 3.0)
    assert (ratio["of"], ratio["to"], ratio["unit"]) == ("VokeTag", "Go", "ratio")
    assert (ratio["reached"], ratio["aim_reached"]) == (True, False)
    assert {name: table.judged(target) for name, target in by_name.items()} == {
        "ratio": "reached",
        "far ratio": "NOT REACHED",
        "wait, ms": "aim reached",
        "failed": "reached",
        "shown": "",
    }


def test_a_run_of_one_section_leaves_the_others_as_they_were(
    tmp_path: Path, kept: dict[str, Any]
) -> None:
    path = tmp_path / "results" / "bench.json"
    results.merge(path, "two", kept | {"commit": "old"})
    results.merge(path, "one", kept)
    results.merge(path, "one", kept | {"commit": "new"})
    sections = json.loads(path.read_text())["sections"]
    assert {name: found["commit"] for name, found in sections.items()} == {
        "one": "new",
        "two": "old",
    }
    assert [entry.name for entry in path.parent.iterdir()] == ["bench.json"]


@pytest.mark.parametrize("text", ["", "{", '{"format": 0, "sections": {"old": 1}}', "[]"])
def test_results_of_another_format_are_begun_anew(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bench.json"
    path.write_text(text)
    assert results.read(path)["sections"] == {}


def test_the_table_says_what_was_reached_and_what_was_not_measured(kept: dict[str, Any]) -> None:
    printed = "\n".join(table.lines({"sections": {"one": kept}}, ["one"]))
    rows = {row.split("  ")[0]: row for row in printed.splitlines()}
    assert re.search(r"2\.00 +1\.00 to 3\.00 +1\.50 +2\.50 +reached", rows["one: ratio"])
    assert re.search(r"<= 9\.00 +<= 8\.00 +aim reached", rows["one: wait, ms"])
    assert NOTE in printed
    assert "shortened to 0.5" in printed


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (12_345.6, "12,346"), (12.34, "12.3"), (1.234, "1.23"), (0.01234, "0.0123")],
)
def test_numbers_have_three_digits_that_count(value: float, text: str) -> None:
    assert table.number(value) == text


def test_a_section_that_fails_does_not_stop_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = {"bad": section("bad", fails=True), "good": section("good")}
    assert not program.run(chosen, 3, 0.5, tmp_path)
    found = json.loads((tmp_path / "bench.json").read_text())["sections"]
    assert list(found) == ["good"]
    assert {"date", "commit", "machine"} <= set(found["good"])
    told = capsys.readouterr()
    assert "good: ratio" in told.out
    assert "bad: FAILED" in told.err
    assert "it broke" in told.err


def test_an_unknown_section_is_refused(tmp_path: Path) -> None:
    asked = CliRunner().invoke(program.main, ["--only", "nonsense", "--results", str(tmp_path)])
    assert asked.exit_code == 2
    assert "no section nonsense; there are" in asked.output


def test_the_sections_are_found() -> None:
    found = all_sections()
    assert {"ingress", "throughput", "latency", "cost"} <= set(found)
    assert all(section.name == name for name, section in found.items())


def test_what_others_use_of_the_machine_is_a_share() -> None:
    assert 0 <= machine.Others().percent() <= 100


def test_the_picture_is_drawn(tmp_path: Path, kept: dict[str, Any]) -> None:
    pytest.importorskip("matplotlib", reason="make bench installs it")
    from benchmarks.report import chart

    path = tmp_path / "bench.png"
    chart.draw({"sections": {"one": kept, "latency": kept}}, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    chart.draw({"sections": {}}, path)
