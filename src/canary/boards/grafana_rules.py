"""An alert rule as Grafana's provisioning API takes it: the same expression as Prometheus's, in Grafana's form."""

from __future__ import annotations

import json
from typing import Any, cast

from grafana_foundation_sdk.builders import alerting, expr, prometheus
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.alerting import RelativeTimeRange

from canary.ports import AlertRule

_ORGANISATION = 1
"""The wire asks for one; Grafana takes the token's own, whatever stands there."""
_EXPRESSIONS = "__expr__"


def provisioned(rule: AlertRule, uid: str, group: str, folder: str, datasource: str) -> dict[str, Any]:
    """The body of POST and PUT /api/v1/provisioning/alert-rules; `datasource` is the uid of a Prometheus.

    No data is what a quiet expression answers, hence OK; an expression that cannot be evaluated is an error that
    Grafana tells by itself.
    """
    built = (
        alerting.Rule(rule.name)
        .uid(uid)
        .org_id(_ORGANISATION)
        .folder_uid(folder)
        .rule_group(group)
        .for_val("0s")
        .no_data_state("OK")
        .exec_err_state("Error")
        .labels(dict(rule.labels))
        .annotations({"summary": rule.summary})
        .with_query(_measured(rule, datasource))
        .with_query(_fires())
        .condition("B")
        .build()
    )
    return cast(dict[str, Any], json.loads(JSONEncoder().encode(built)))


def _measured(rule: AlertRule, datasource: str) -> alerting.Query:
    asked = prometheus.Dataquery().ref_id("A").expr(rule.expr).instant()
    # Seconds before now, from and to; an instant query is evaluated at the end.
    back = RelativeTimeRange(from_val=int(rule.seconds), to=0)
    return alerting.Query("A").datasource_uid(datasource).relative_time_range(back).model(asked)


def _fires() -> alerting.Query:
    """Whatever passed the comparison in the expression fires, a 0 too: nothing measured is below 0."""
    above = expr.ExprTypeThresholdConditionsEvaluator().type("gt").params([-1])
    compared = (
        expr.TypeThreshold()
        .ref_id("B")
        .expression("A")
        .conditions([expr.ExprTypeThresholdConditions().evaluator(above)])
    )
    now = RelativeTimeRange(from_val=0, to=0)
    return alerting.Query("B").datasource_uid(_EXPRESSIONS).relative_time_range(now).model(compared)
