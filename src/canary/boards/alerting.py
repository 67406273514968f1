"""A plan's alerts as rules of Prometheus: for it alone, or for Grafana in front of it.

They look at the whole service, whichever version answers: they stay when the release has become the stable one.
"""

from __future__ import annotations

from io import StringIO

from ruamel.yaml import YAML

from canary.boards import promql
from canary.boards.promql import Over
from canary.plan.model import AnySeen, OfBaseline, Plan, QuantileAbove, RateAbove, RatioBelow, Rule, Signal
from canary.plan.units import duration
from canary.plan.watching import Severity
from canary.ports import AlertRule

SECONDS = 300.0
"""What a rule looks back over when the plan has no watch, whose looks are as far apart."""
MARK = {"managed_by": "prefect-canary"}
"""The label by which our rules are known; whoever takes it off a rule keeps it as it is."""


def alert_rules(plan: Plan) -> tuple[AlertRule, ...]:
    """Every alert of the plan that a rule can say, the gravest first."""
    return tuple(_rule(plan, *each) for each in plan.alerts.each() if not isinstance(each[1], OfBaseline))


def left_out(plan: Plan) -> tuple[str, ...]:
    """Alerts that compare with a baseline: once everybody has the candidate there is none to be asked for."""
    return tuple(_named(rule) for _, rule in plan.alerts.each() if isinstance(rule, OfBaseline))


def rule_file(plan: Plan) -> str:
    """A Prometheus rule file (YAML) with all of them in one group."""
    head = f"# The alerts of plan {plan.name}, for Prometheus (rule_files). Made by: canary plan alerts\n"
    missing = "".join(f"# Left out, since it compares with a baseline: {name}\n" for name in left_out(plan))
    rules = [_written(rule) for rule in alert_rules(plan)]
    yaml, text = YAML(), StringIO()
    # One line an expression, however long: nobody should have to put it together to try it.
    yaml.width = 10_000
    yaml.dump({"groups": [{"name": group(plan), "rules": rules}] if rules else []}, text)
    return f"{head}{missing}{text.getvalue()}"


def group(plan: Plan) -> str:
    """The name of the plan's group of rules."""
    return f"canary {plan.service} {plan.name}"


def _written(rule: AlertRule) -> dict[str, object]:
    labels, notes = dict(rule.labels), {"summary": rule.summary}
    return {"alert": rule.name, "expr": rule.expr, "labels": labels, "annotations": notes}


def _rule(plan: Plan, severity: Severity, rule: Rule) -> AlertRule:
    seconds = plan.watch.every if plan.watch else SECONDS
    signal = plan.measures(plan.phases[-1])[rule.measure]
    name = f"{plan.service} {_named(rule)}"
    labels = {"severity": severity, "service": plan.service, "plan": plan.name, **MARK}
    return AlertRule(
        name, _expr(rule, signal, Over(duration(seconds))), seconds, f"{name}, in {duration(seconds)}", labels
    )


def _named(rule: Rule) -> str:
    on = f" on {', '.join(rule.on)}" if rule.on else ""
    return f"{rule.signal} {rule.text}{on}"


def _expr(rule: Rule, signal: Signal, over: Over) -> str:
    match rule:
        case AnySeen():
            return _any(promql.bad_events(signal, over), over.window)
        case RateAbove():
            return f"{promql.share(signal, over)} > {rule.limit:g}"
        case QuantileAbove() | RatioBelow():
            compared = ">" if isinstance(rule, QuantileAbove) else "<"
            return f"{promql.quantile(signal, rule.quantile, over)} {compared} {rule.limit:g}"
    raise ValueError(f"{rule.text!r} is no alert that a rule can say")


def _any(bad: str, window: str) -> str:
    """Counters of errors are born with their first error, which `increase` never sees: what is new counts whole."""
    return f"sum(increase({bad}[{window}])) > 0 or sum({bad} unless {bad} offset {window}) > 0"
