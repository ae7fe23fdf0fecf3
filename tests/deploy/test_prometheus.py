"""deploy/prometheus: rules that do what docs/alerts.md says, by promtool and in a real server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from tests.administration import admin_on
from tests.prometheus import prometheus, promtool
from tests.servers import eventually
from tests.source import REPOSITORY
from voketag import metrics

HERE = REPOSITORY / "deploy" / "prometheus"
ALERTS = HERE / "alerts.yml"
SECONDS = {"second": "s", "minute": "m", "hour": "h"}
ROW = re.compile(r"^\| ([^|]+) \| `([^`]+)`([^|]*) \| .* \|$", re.MULTILINE)


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alarm(rule: dict[str, Any]) -> str:
    """What an alert is called in docs/alerts.md; what follows the colon is this one's figures."""
    return str(rule["annotations"]["summary"]).partition(":")[0]


def test_the_files_are_what_prometheus_takes() -> None:
    promtool("check", "config", str(HERE / "prometheus.yml"))
    assert f"{len(rules())} rules found" in promtool("check", "rules", str(ALERTS))


def test_each_alert_is_quiet_and_fires() -> None:
    promtool("test", "rules", str(HERE / "alerts_test.yml"))
    cases = [
        case
        for test in yaml.safe_load((HERE / "alerts_test.yml").read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    names = {rule["alert"] for rule in rules()}
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == names
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == names


def test_every_alarm_is_a_rule_and_every_rule_an_alarm() -> None:
    documented = {}
    for name, expression, more in ROW.findall((REPOSITORY / "docs" / "alerts.md").read_text()):
        lasting = re.search(r"for (\d+) (second|minute|hour)", more)
        wait = f"{lasting[1]}{SECONDS[lasting[2]]}" if lasting else None
        documented[name] = (expression, wait)
    ready = {alarm(rule): (" ".join(rule["expr"].split()), rule.get("for")) for rule in rules()}
    assert ready == documented


def test_every_alert_says_how_urgent_it_is_and_where_to_look() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning"), rule
        assert (REPOSITORY / rule["annotations"]["runbook"]).exists(), rule


async def test_what_ops_serves_is_well_formed(redis_url: str, database_url: str) -> None:
    async with admin_on(redis_url, database_url) as admin, admin.session.get("/metrics") as shown:
        exposed = await shown.read()
    assert b"voketag_process_memory_bytes{" in exposed
    promtool("check", "metrics", stdin=exposed)
    names = set(re.findall(r"^# TYPE (\w+)", exposed.decode(), re.MULTILINE))
    own = set(re.findall(r"^# TYPE (\w+)", metrics.exposition().decode(), re.MULTILINE))
    assert names == {name for name in own if not name.endswith("_created")}


async def test_a_real_prometheus_scrapes_ops_and_works_out_the_rules(
    redis_url: str, database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "alerts.yml").write_text(ALERTS.read_text())
    async with admin_on(redis_url, database_url) as admin:
        config = yaml.safe_load((HERE / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        (job,) = config["scrape_configs"]
        job["static_configs"] = [{"targets": [f"127.0.0.1:{admin.port}"]}]
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
        async with prometheus(tmp_path / "prometheus.yml", tmp_path / "home") as server:

            async def up() -> bool:
                targets = (await server.ask("targets"))["activeTargets"]
                return [target["health"] for target in targets] == ["up"]

            async def all_worked_out() -> bool:
                groups = (await server.ask("rules"))["groups"]
                found = [rule for group in groups for rule in group["rules"]]
                assert not any(rule["health"] == "err" for rule in found), found
                return len(found) == len(rules()) and all(rule["health"] == "ok" for rule in found)

            async def firing() -> bool:
                alerts = (await server.ask("alerts"))["alerts"]
                names = {alert["labels"]["alertname"] for alert in alerts}
                return {"VokeTagGroupHasNoProcess", "VokeTagProcessIsMissing"} <= names

            await eventually(up, 30)
            await eventually(all_worked_out, 30)
            await eventually(firing, 30)  # no consumer runs here
            found = await server.ask("query", query="voketag_process_memory_bytes")
            assert {sample["metric"]["process"] for sample in found["result"]} == {"ops"}
