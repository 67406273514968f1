"""What GrafanaServer leaves in Grafana: written once, brought up to date, and nothing of anybody else's touched."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from canary.blocks.grafana import GrafanaServer
from canary.boards.alerting import alert_rules, group
from canary.boards.dashboard import dashboard
from canary.boards.document import TAG, uid
from canary.errors import CredentialError, ProviderError, ProviderUnavailable
from canary.plan.model import Plan
from canary.testing.fakes import FakeClock
from canary.testing.grafana import Grafana

NOW = FakeClock().now()


def _sent(grafana: Grafana, method: str) -> list[str]:
    return [asked.path for asked in grafana.log if asked.method == method]


async def test_a_dashboard_is_written_once(grafana: Grafana, block: GrafanaServer, plan: Plan) -> None:
    """Into a folder that is made for it, with the data source chosen; pushed again, nothing is written."""
    document = dashboard(plan, "2.1.0", "2.0.9")
    assert "written as version 1" in await block.push(document)
    assert "as it should be" in await block.push(document)
    saved = grafana.dashboards[uid(plan)]
    assert (saved.version, saved.folder) == (1, "prefect-canary")
    chosen = {v["name"]: v["current"]["value"] for v in saved.document["templating"]["list"]}
    assert chosen == {"datasource": "prom", "candidate": "2.1.0", "stable": "2.0.9"}
    assert _sent(grafana, "POST") == ["/api/folders", "/api/dashboards/db"]


async def test_the_next_release_brings_it_up_to_date(grafana: Grafana, block: GrafanaServer, plan: Plan) -> None:
    """What people changed in a dashboard that carries our tag is replaced."""
    await block.push(dashboard(plan, "2.1.0", "2.0.9"))
    grafana.changed_by_hand(uid(plan), title="mine")
    assert "written as version 3" in await block.push(dashboard(plan, "2.2.0", "2.1.0"))
    assert grafana.dashboards[uid(plan)].document["title"] == "docflow: phase1"


async def test_a_dashboard_without_our_tag_is_left_alone(grafana: Grafana, block: GrafanaServer, plan: Plan) -> None:
    """Whoever takes the tag off has made it their own."""
    await block.push(dashboard(plan))
    grafana.changed_by_hand(uid(plan), tags=["team"], title="mine")
    with pytest.raises(ProviderError, match=f"lost the tag {TAG}"):
        await block.push(dashboard(plan, "2.2.0"))
    assert grafana.dashboards[uid(plan)].document["title"] == "mine"


@pytest.mark.parametrize("there", [True, False])
async def test_somebody_saves_at_the_same_moment(
    grafana: Grafana, block: GrafanaServer, plan: Plan, there: bool
) -> None:
    """412: read again and written once more; when it happens twice, that is told, and nothing is overwritten."""
    if there:
        await block.push(dashboard(plan))
    grafana.races = 1
    assert "written as version" in await block.push(dashboard(plan, "2.2.0"))
    grafana.races = 2
    with pytest.raises(ProviderError, match="412: The dashboard has been changed by someone else"):
        await block.push(dashboard(plan, "2.3.0"))
    assert "description" in grafana.dashboards[uid(plan)].document


async def test_a_stale_read_is_written_over_nothing(grafana: Grafana, block: GrafanaServer, plan: Plan) -> None:
    """A replica that lags: its version is refused, and the second read is the true one."""
    await block.push(dashboard(plan))
    grafana.changed_by_hand(uid(plan), description="newer")
    grafana.stale_reads = 1
    assert "written as version 3" in await block.push(dashboard(plan, "2.2.0"))


async def test_a_lost_answer_is_asked_for_again(grafana: Grafana, block: GrafanaServer, plan: Plan) -> None:
    """The dashboard was written and nobody heard of it: pushed again it is found as it should be."""
    grafana.folders["prefect-canary"] = "prefect-canary"
    grafana.knobs.loses_answers = 1
    with pytest.raises(ProviderUnavailable):
        await block.push(dashboard(plan))
    assert "as it should be" in await block.push(dashboard(plan))
    assert grafana.dashboards[uid(plan)].version == 1


async def test_alert_rules_of_three_levels(grafana: Grafana, block: GrafanaServer, plan: Plan) -> None:
    """Each once, editable by people, in a group of the plan, firing on whatever its expression lets pass."""
    said = await block.alerts(group(plan), alert_rules(plan))
    assert said == "3 alert rules in folder prefect-canary (3 new)"
    assert await block.alerts(group(plan), alert_rules(plan)) == "3 alert rules in folder prefect-canary"
    rules = list(grafana.rules.values())
    assert [rule["labels"]["severity"] for rule in rules] == ["critical", "warning", "info"]
    assert {rule["provenance"] for rule in rules} == {""}
    assert {rule["ruleGroup"] for rule in rules} == {"canary docflow phase1"}
    measured, fires = rules[1]["data"]
    assert measured["datasourceUid"] == "prom"
    assert measured["model"]["expr"].endswith("< 0.5")
    assert fires["model"]["conditions"][0]["evaluator"] == {"type": "gt", "params": [-1]}


async def test_alert_rules_that_are_half_done(grafana: Grafana, block: GrafanaServer, plan: Plan) -> None:
    """After a failure in the middle the next push writes what is missing, and nothing twice."""
    grafana.rules_before = 1
    with pytest.raises(ProviderUnavailable, match="database is locked"):
        await block.alerts(group(plan), alert_rules(plan))
    grafana.rules_before = None
    assert "(2 new)" in await block.alerts(group(plan), alert_rules(plan))


async def test_rules_of_others_are_left_alone(grafana: Grafana, block: GrafanaServer, plan: Plan) -> None:
    """What was changed is put right, but for a rule whose label somebody took off, or that files provision."""
    await block.alerts(group(plan), alert_rules(plan))
    critical, warning, info = grafana.rules.values()
    critical["for"] = "10m"
    warning["labels"] = {"severity": "warning"}
    info["provenance"] = "file"
    info["for"] = "10m"
    said = await block.alerts(group(plan), alert_rules(plan))
    assert said == "3 alert rules in folder prefect-canary (1 changed, 2 left alone)"
    fors = {rule["labels"]["severity"]: rule["for"] for rule in grafana.rules.values()}
    assert fors == {"critical": "0s", "warning": "0s", "info": "10m"}


async def test_a_mark_is_made_in_milliseconds(grafana: Grafana, block: GrafanaServer) -> None:
    """For the whole organisation, found by its tags."""
    await block.annotate("canary: 10% of users on 2.1.0", ["prefect-canary", "docflow"], NOW + 0.25)
    assert grafana.annotations == [
        {
            "text": "canary: 10% of users on 2.1.0",
            "tags": ["prefect-canary", "docflow"],
            "time": round(NOW * 1000) + 250,
        }
    ]


async def test_whether_it_may_write_is_told_before(
    grafana: Grafana, block: GrafanaServer, opened: Any, tokens: dict[str, str]
) -> None:
    """A viewer's token is found out where the folder is there; where it is not, by the first write."""
    viewer = opened(token=tokens["Viewer"])
    await viewer.check_writing()
    with pytest.raises(CredentialError, match=r"(?s)field token.*dashboards:write|folders:create"):
        await viewer.push({"uid": "x", "title": "x", "tags": [TAG], "panels": [], "templating": {"list": []}})
    grafana.folders["prefect-canary"] = "prefect-canary"
    await block.check_writing()
    with pytest.raises(CredentialError, match="field token: it may not write into the folder"):
        await viewer.check_writing()


async def test_a_folder_that_somebody_makes_at_the_same_moment(grafana: Grafana, opened: Any, plan: Plan) -> None:
    """Two pushes side by side: one makes the folder, the other goes on."""
    blocks = [opened() for _ in range(4)]
    said = await asyncio.gather(*(block.alerts(group(plan), []) for block in blocks))
    assert said == ["0 alert rules in folder prefect-canary"] * 4
    assert grafana.folders == {"prefect-canary": "prefect-canary"}
