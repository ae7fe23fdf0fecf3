"""deploy/grafana: a dashboard whose every expression and metric exists.

No Grafana takes part: its shape is held to what Grafana 10 and 11 export.
"""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.prometheus import promtool
from tests.source import REPOSITORY
from voketag import metrics

DASHBOARD = REPOSITORY / "deploy" / "grafana" / "voketag.json"
ALERTS = REPOSITORY / "deploy" / "prometheus" / "alerts.yml"
COLUMNS = 24
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
# Counted for us, and of no use in a picture or an alert that is not made of others already.
UNSEEN = {"voketag_entries_trimmed"}


def dashboard() -> dict[str, Any]:
    return dict(json.loads(DASHBOARD.read_text()))


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    """What the panels ask, with the interval that Grafana would put in."""
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [expression.replace("$__rate_interval", "5m") for expression in asked]


def test_every_expression_is_promql(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expression}
        for number, expression in enumerate(expressions())
    ]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(file))


def test_it_goes_by_metrics_that_exist_and_shows_all_of_them() -> None:
    families = list(metrics.REGISTRY.collect())
    samples = {
        family.name + suffix: family.name for family in families for suffix in SUFFIXES[family.type]
    }
    spoken = set(re.findall(r"voketag_\w+", " ".join(expressions())))
    assert spoken <= set(samples)
    in_rules = set(re.findall(r"voketag_\w+", ALERTS.read_text()))
    assert in_rules <= set(samples)
    used = {samples[name] for name in spoken | in_rules}
    assert {family.name for family in families} - used == UNSEEN


def test_the_datasource_is_chosen_by_whoever_looks() -> None:
    (variable,) = dashboard()["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == (
        "datasource",
        "datasource",
        "prometheus",
    )
    asked = {"type": "prometheus", "uid": "${datasource}"}
    for panel in panels():
        assert panel["datasource"] == asked, panel["title"]
        assert all(target["datasource"] == asked for target in panel["targets"]), panel["title"]
    assert "uid" in dashboard()
    assert dashboard()["schemaVersion"] >= 36  # Grafana 9 and later


def test_panels_lie_beside_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS, panel["title"]
        cells = set(
            itertools.product(
                range(place["x"], place["x"] + place["w"]),
                range(place["y"], place["y"] + place["h"]),
            )
        )
        assert not cells & taken, panel["title"]
        taken |= cells
    rows = {y for _, y in taken}
    assert len(taken) == COLUMNS * len(rows)  # and no hole between them
    numbers = [panel["id"] for panel in dashboard()["panels"]]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    assert panel["type"] in ("stat", "timeseries")
    assert panel["title"]
    assert panel["targets"]
    references = [target["refId"] for target in panel["targets"]]
    assert len(set(references)) == len(references)
    shown = panel["fieldConfig"]["defaults"]
    assert shown["unit"] in ("short", "s", "reqps", "percentunit", "bytes")
    assert shown["noValue"] == "unknown"  # and never 0
    steps = [step["value"] for step in shown["thresholds"]["steps"]]
    assert steps[0] is None
    assert steps[1:] == sorted(steps[1:])
    if panel["type"] == "timeseries":
        assert all(target["legendFormat"] for target in panel["targets"])
