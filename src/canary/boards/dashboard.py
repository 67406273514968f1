"""A plan's dashboard, as Grafana's JSON model: the canary beside the baseline, before and after, and what is watched.

The data source and both versions are variables: one document serves every release, and every Grafana.
"""

from __future__ import annotations

import json
from itertools import count
from typing import Any, cast

from grafana_foundation_sdk.builders import common, prometheus, timeseries
from grafana_foundation_sdk.builders import dashboard as grafana
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import GraphTresholdsStyleMode, LegendDisplayMode, TooltipDisplayMode
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableHide,
    VariableOption,
)

from canary.boards.document import SOURCE, TAG, uid
from canary.boards.panels import Panel, rows
from canary.plan.model import Plan

_SOURCE = DataSourceRef(type_val="prometheus", uid=f"${{{SOURCE}}}")
# Where Grafana keeps its own annotations (grafana-foundation-sdk, the default of every new dashboard).
_GRAFANA = DataSourceRef(type_val="grafana", uid="-- Grafana --")
_WIDE, _HIGH = 8, 8
"""Of 24 columns, and as many rows of 30 px."""


def dashboard(plan: Plan, candidate: str = "", stable: str = "") -> dict[str, Any]:
    """The document; the versions are what its variables show at first."""
    built = (
        grafana.Dashboard(f"{plan.service}: {plan.name}")
        .uid(uid(plan))
        .tags([TAG, plan.service, plan.name])
        .editable()
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .with_variable(grafana.DatasourceVariable(SOURCE).label("Data source").type("prometheus"))
        .with_variable(_text("candidate", candidate))
        .with_variable(_text("stable", stable))
        .annotation(_marks(plan))
    )
    number = count(1)
    for title, panels in rows(plan):
        built = built.with_row(grafana.Row(title).id(next(number)))
        for panel in panels:
            built = built.with_panel(_panel(panel).id(next(number)))
    return cast(dict[str, Any], json.loads(JSONEncoder(sort_keys=True).encode(built.build())))


def _text(name: str, value: str) -> grafana.TextBoxVariable:
    option = VariableOption(selected=True, text=value, value=value)
    return (
        grafana.TextBoxVariable(name)
        .hide(VariableHide.DONT_HIDE)
        .default_value(value)
        .current(option)
        .options([option])
    )


def _marks(plan: Plan) -> grafana.AnnotationQuery:
    marks = grafana.AnnotationTarget().limit(100).match_any(False).tags([TAG, plan.service]).type("tags")
    query = grafana.AnnotationQuery().name("Rollouts").datasource(_GRAFANA).enable(True).icon_color("blue")
    return query.target(marks)


def _panel(panel: Panel) -> timeseries.Panel:
    built = timeseries.Panel().title(panel.title).datasource(_SOURCE).unit(panel.unit).span(_WIDE).height(_HIGH).min(0)
    built = built.legend(common.VizLegendOptions().show_legend(True).display_mode(LegendDisplayMode.LIST))
    built = built.tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    for ref, line in zip("ABCDEFG", panel.lines, strict=False):
        built = built.with_target(prometheus.Dataquery().ref_id(ref).expr(line.expr).legend_format(line.name).range())
    if panel.limits:
        drawn = common.GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.DASHED)
        built = built.thresholds(_limits(panel)).thresholds_style(drawn)
    return built


def _limits(panel: Panel) -> grafana.ThresholdsConfig:
    steps = [Threshold(color="green"), *(Threshold(value=limit, color="red") for limit in sorted(panel.limits))]
    return grafana.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
