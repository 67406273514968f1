"""A plan in words: one line per phase, and what a reader should know before starting it."""

from __future__ import annotations

from collections.abc import Iterator

from canary.plan.model import Check, Phase, Plan, Rule, UiCheck
from canary.plan.rules import is_literal
from canary.plan.units import duration, percent


def phase_in_words(phase: Phase) -> str:
    """One line: who sees the candidate, how long, what is asked and what happens then."""
    return f"{phase.name}: " + "; ".join(_clauses(phase))


def _clauses(phase: Phase) -> Iterator[str]:
    who = {0.0: "nobody", 1.0: "everybody"}.get(phase.exposure, f"{percent(phase.exposure)} of users")
    yield f"{who} on the candidate" + (f" for {duration(phase.duration)}" if phase.duration else "")
    if phase.approval:
        people = " and ".join(phase.approval.by)
        yield f"begins when {people} approved, within {duration(phase.approval.within)}"
    if phase.checks:
        yield "looks at " + ", ".join(_check(check) for check in phase.checks)
    if phase.criteria:
        yield "must show " + ", ".join(_rule(rule) for rule in phase.criteria)
    if phase.triggers:
        yield "rolls back on " + ", ".join(_rule(rule) for rule in phase.triggers)
    if phase.criteria:
        yield _undecided(phase)
    if phase.then:
        yield f"then {', '.join(phase.then)}"


def _check(check: Check) -> str:
    return f"{check.name} (in a browser)" if isinstance(check, UiCheck) else check.name


def _rule(rule: Rule) -> str:
    on = f" on {', '.join(rule.on)}" if rule.on else ""
    return f"{rule.signal} {rule.text}{on}"


def _undecided(phase: Phase) -> str:
    told = phase.on_undecided
    first = f"{duration(told.extend)} longer, then " if told.extend else ""
    end = f"hold for at most {duration(told.within)}" if told.then == "hold" else "roll back"
    return f"if undecided: {first}{end}"


def features_in_words(plan: Plan) -> str:
    """One line: what happens when a FAIL comes from one feature alone; "" for a plan without features, or users."""
    if not plan.features or not any(phase.exposure and (phase.criteria or phase.triggers) for phase in plan.phases):
        return ""
    alone = [name for name in plan.features if plan.switch_of(name)]
    rest = [name for name in plan.features if name not in alone]
    clauses = [f"{', '.join(alone)}: switched off alone when every failure is its own, then held"] if alone else []
    if rest:
        clauses.append(f"{', '.join(rest)}: no target's set holds its flag, so everything is rolled back")
    return "features: " + "; ".join(clauses)


def review_in_words(plan: Plan) -> str:
    """One line: when it is reviewed, and what the review shows; "" when the plan asks for nothing beyond its phases."""
    metrics = sum(len(group) for group in plan.key_metrics.values())
    alerts = len(list(plan.alerts.each()))
    counted = ((metrics, "key metrics"), (alerts, "alerts"), (len(plan.kpis), "KPIs"))
    shows = [f"{number} {what}" for number, what in counted if number]
    without = [name for name, source in plan.sources.items() if not source.configured]
    if without:
        shows.append(f"no source configured for {', '.join(without)}")
    when = " and ".join(duration(after) for after in plan.review.after)
    return f"reviewed after {when}: {'; '.join(shows)}" if shows else ""


def ready_made(plan: Plan) -> bool:
    """Whether a rule compares a number that somebody else made, which few windows can never decide."""
    rules = (rule for phase in plan.phases for rule in (*phase.criteria, *phase.triggers))
    return any(plan.signals[rule.signal].window is not None for rule in rules)


def without_facts(plan: Plan) -> tuple[str, ...]:
    """What cannot be said of rules that are taken at their word, as long as the traffic is not known."""
    rules = [rule for phase in plan.phases for rule in (*phase.criteria, *phase.triggers) if is_literal(rule)]
    if not rules:
        return ()
    told = ", ".join(dict.fromkeys(_rule(rule) for rule in rules))
    return (
        f"taken at their word: {told}; how often they would end a healthy release, and what to write instead, is told "
        "with --rps and --error-rate",
    )


def warnings(plan: Plan) -> tuple[str, ...]:
    """What is allowed and should not be overlooked."""
    return tuple(_warnings(plan))


def _warnings(plan: Plan) -> Iterator[str]:
    if plan.grant_approvals and any(phase.approval for phase in plan.phases):
        yield "approvals are granted by the plan itself; nobody will be asked"
    if plan.time_scale != 1:
        yield f"plan time runs {plan.time_scale:g} times as fast as the clock"
    for name in plan.without:
        yield f"check {name!r} will be skipped"
