# ruff: noqa: E501  (one line per case reads better than three)
"""What a well-formed plan can still get wrong: each is told with its place and a way out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from canary.errors import PlanError
from canary.plan.kinds import KINDS, Kind
from canary.plan.load import load_plan

Write = Callable[[dict[str, Any]], Path]
MIDDLE = {"name": "half", "for": "30m", "exposure": "50%", "criteria": [{"errors": "< 1%"}]}
SECOND = {"use": "envoy/shop-web"}


CASES: list[tuple[dict[str, Any], str]] = [
    ({"targets.api.use": "enovy/x"}, "targets.api.use: unknown kind 'enovy'; valid values: envoy, flags, vercel, fly, global-config; did you mean 'envoy'?"),
    ({"targets.api.use": "scraper/x"}, "targets.api.use: kind scraper is a metrics block, not a target block"),
    ({"metrics": "promtheus/x"}, "metrics: unknown kind 'promtheus'; valid values: scraper, prometheus, grafana; did you mean"),
    ({"notify.updates.0": "token/x"}, "notify.updates[0]: kind token is a token block, not a notifier block"),
    ({"phases.0.checks.0.bearer": "slack/x"}, "phases[0].checks[0].bearer: kind slack is a notifier block"),
    ({"notify.page": []}, "notify.page: a plan needs somebody to wake"),
    ({"traffic": "latency"}, "traffic: 'latency' is no counter signal; valid values: errors, ui"),
    ({"traffic": "error"}, "traffic: 'error' is no counter signal; valid values: errors, ui; did you mean 'errors'?"),
    ({"phases.1.approval.by": ["ower"]}, "phases[1].approval.by[0]: unknown role 'ower'; valid values: owner; did you mean 'owner'?"),
    ({"phases.1.approval.by": ["owner", "owner"]}, "phases[1].approval.by[1]: role 'owner' stands twice"),
    ({"phases.1.approval.by": []}, "phases[1].approval.by: tuple should have at least 1 item"),
    ({"phases.0.exposure": "5%", "phases.0.checks": [], "phases.0.criteria": [{"errors": "< 1%"}]}, "phases[0].exposure: the first phase prepares the candidate for nobody: exposure must be 0%, not 5%"),
    ({"phases.2.exposure": "99%", "phases.2.for": "1m", "phases.2.criteria": [{"errors": "< 1%"}]}, "phases[2].exposure: the last phase is for everybody: exposure must be 100%, not 99%"),
    ({"phases.1.exposure": "60%", "phases.2": MIDDLE, "phases.3": {"name": "full", "exposure": "100%"}}, "phases[2].exposure: exposure falls from 60% (canary) to 50%"),
    ({"phases.1.name": "full"}, "phases[2].name: two phases are called 'full'"),
    ({"phases.1.criteria": []}, "phases[1]: phase canary has no criteria: it would measure nothing and could never pass"),
    ({"phases.1.checks": [{"name": "x", "get": "/"}]}, "phases[1].checks: checks look at a candidate that nobody uses yet; at 10% use criteria"),
    ({"backtest": "required", "signals.slow": {"gauge": "p95_ms", "window": "5m"}, "phases.1.triggers": [{"slow": "worse than baseline"}]}, "backtest: slow is a ready-made number, which no backtest can take apart by pods"),
    ({"backtest": "required", "phases.1": {"name": "most", "exposure": "100%", "for": "10m", "criteria": [{"errors": "< 1%"}]}}, "backtest: no phase with some of the users has a duration and a rule that is not taken literally: nothing to test"),
    ({"backtest": "yes"}, "backtest: unknown value; valid values: required"),
    ({"phases.0.criteria": [{"errors": "< 1%"}]}, "phases[0].criteria: at 0% nobody is on the candidate, so criteria would measure nothing; use checks"),
    ({"phases.0.triggers": [{"errors": "any"}]}, "phases[0].triggers: at 0% nobody is on the candidate"),
    ({"phases.2.criteria": [{"errors": "< 1%"}]}, "phases[2]: phase full gathers evidence and needs a duration"),
    ({"phases.2.triggers": [{"latency": "> 20% over baseline"}], "phases.2.for": "1h"}, "phases[2].triggers[0]: at 100% nobody is left on the baseline"),
    ({"phases.1.then": ["docs"]}, "phases[1].then: canary is not the last phase"),
    ({"phases.2.then": ["dogs"]}, "phases[2].then[0]: unknown value; valid values: audit, baseline, dashboards, alerts, docs, announce; did you mean 'docs'?"),
    ({"phases.2.then": ["docs", "docs"]}, "phases[2].then[1]: docs stands twice"),
    ({"phases.2.then": ["audit"]}, "phases[2].then[0]: the step audit needs the plan's key audit; such as audit: {api_p95_ms:"),
    ({"phases.2.then": ["alerts"]}, "phases[2].then[0]: the step alerts needs an alert in the plan; such as alerts:"),
    ({"dashboards": "prometheus/shop"}, "dashboards: kind prometheus keeps no dashboards; valid kinds: grafana; or write: files"),
    ({"dashboards": "slack/shop"}, "dashboards: kind slack is a notifier block, not a metrics block"),
    ({"dashboards": "grafanna/shop"}, "dashboards: unknown kind 'grafanna'; valid values: scraper, prometheus, grafana"),
    ({"dashboards": "file"}, "dashboards: must be files, or a block reference kind/name such as grafana/docflow"),
    ({"phases.2.then": ["announce"]}, "phases[2].then[0]: the step announce needs the plan's key announce"),
    ({"audit": {"x": {"signal": "latecy", "shows": "p95", "in": "ms"}}}, "audit.x.signal: unknown signal 'latecy'; valid values: errors, latency, ui; did you mean 'latency'?"),
    ({"audit": {"x": {"signal": "latency", "shows": "share", "in": "percent"}}}, "audit.x.shows: latency is a histogram; valid values: p50, p90, p95 or p99"),
    ({"audit": {"x": {"signal": "errors", "shows": "p95", "in": "ms"}}}, "audit.x.shows: errors is a counter; valid values: share"),
    ({"audit": {"x": {"signal": "errors", "shows": "share", "in": "ms"}}}, "audit.x.in: share is told in percent"),
    ({"audit": {"x": {"signal": "latency", "shows": "p95", "in": "percent"}}}, "audit.x.in: p95 is told in ms or s"),
    ({"announce": {"says": "live", "feedback": "forms.test"}}, "announce.feedback: must be a web address without user"),
    ({"announce": {"says": "live", "feedback": "https://f.test", "to": ["token/x"]}}, "announce.to[0]: kind token is a token block, not a notifier block"),
    ({"announce": {"says": "live", "feedback": "https://f.test/?a=1&api_key=x"}}, "announce.feedback: the parameter 'api_key' looks like a secret"),
    ({"announce": {"says": "live", "feedback": "https://f.test", "links": {"Notes": "https://f.test/#access_token=x"}}}, "announce.links.Notes: the parameter 'access_token' looks like a secret"),
    ({"checklist": [{"item": "notes", "evidence": {"url": "https://f.test/?X-Amz-Signature=x"}}]}, "checklist[0].evidence.url: the parameter 'X-Amz-Signature' looks like a secret"),
    ({"phases.0.checks.0.get": "/orders?token=x"}, "phases[0].checks[0].get: the parameter 'token' looks like a secret, and a plan is stored and shown in clear"),
    ({"phases.0.checks.1.path": "/metrics?auth="}, "phases[0].checks[1].path: the parameter 'auth' looks like a secret"),
    ({"phases.0.checks.0": {"name": "cart", "open": "/cart?sessionId=x", "expect": [{"see": "#cart"}]}}, "phases[0].checks[0].open: the parameter 'sessionId' looks like a secret"),
    ({"watch": {"for": "5m", "every": "10m"}}, "watch.every: longer than the watch itself: it would never look"),
    ({"phases.0.checks.1.name": "home"}, "phases[0].checks[1].name: two checks are called 'home'"),
    ({"phases.0.checks.0": {"name": "x"}}, "phases[0].checks[0]: a check has one of get (a path), metrics (a list of metric names) and open (a page)"),
    ({"phases.0.checks.0.get": "//elsewhere.example/"}, "phases[0].checks[0].get: must be a path on the candidate"),
    ({"phases.0.checks.0.expect": 99}, "phases[0].checks[0].expect: input should be greater than or equal to 100"),
    ({"without": ["hoem"]}, "without[0]: there is no check 'hoem'; valid values: home, numbers; did you mean 'home'?"),
    ({"phases.1.criteria.0": {"erors": "< 1%"}}, "phases[1].criteria[0]: unknown signal 'erors'; valid values: errors, latency, ui; did you mean 'errors'?"),
    ({"phases.1.criteria.0": {"errors": "p95 < 1s"}}, "phases[1].criteria[0]: 'p95 < 1s' asks for a quantile, and errors is a counter"),
    ({"phases.1.criteria.1": {"latency": "< 1%"}}, "phases[1].criteria[1]: '< 1%' counts bad events, and latency is a histogram"),
    ({"phases.1.triggers.1": {"errors": "p95 > 20% over baseline"}}, "phases[1].triggers[1]: 'p95 > 20% over baseline' asks for a quantile, and errors is no histogram"),
    ({"phases.1.triggers.1": {"errors": "worse than baseline", "profile": "literal"}}, "phases[1].triggers[1]: profile literal compares quantiles, and errors is no histogram"),
    ({"phases.1.triggers.1": {"errors": "worse than baseline", "cluster": 4}}, "phases[1].triggers[1]: cluster means nothing for this rule; valid keys beside it: on, weight, margin, profile"),
    ({"phases.1.criteria.0": {"errors": "< 1%", "profile": "swift"}}, "phases[1].criteria[0]: profile swift compares with the baseline; a limit is judged by cluster, or literal"),
    ({"phases.1.criteria.0": {"errors": "< 1%", "profile": "quick"}}, "phases[1].criteria[0]: profile: 'quick' is none; valid values: steady, swift, independent, literal"),
    ({"phases.1.criteria.0": {"errors": "< 1%", "weight": 0}}, "phases[1].criteria[0]: weight: 0 must be a number above 0 and at most 100, such as 2"),
    ({"phases.1.criteria.0": {"errors": "< 1%", "cluster": 2.5}}, "phases[1].criteria[0]: cluster: 2.5 must be a whole number from 1 to 1000"),
    ({"phases.1.triggers.1": {"latency": "worse than baseline", "margin": 0.2}}, "phases[1].triggers[1]: margin: 0.2 must be a text such as 25%"),
    ({"phases.1.criteria.0": {"errors": "none", "weight": 2}}, "phases[1].criteria[0]: weight means nothing for this rule; it is taken literally, and only on may stand beside it"),
    ({"phases.1.criteria.0": {"errors": "< 1%", "profile": "literal", "cluster": 2}}, "phases[1].criteria[0]: profile literal takes the rule at its word: leave weight, margin and cluster out"),
    ({"phases.1.alpha": "0%"}, "phases[1].alpha: 0% is no chance to live with"),
    ({"beta": "100%"}, "beta: 100% is no chance to live with; it lies between 0% and 100%, such as 1%"),
    ({"signals.latency.window": "5m"}, "signals.latency: window belongs to a gauge"),
    ({"phases.1.triggers.0": {"errors": "crash"}}, "phases[1].triggers[0]: 'crash' is said of UI components, and errors has no component label; say any"),
    ({"phases.1.criteria.2": {"errors": "< 1%"}}, "phases[1].criteria[2]: errors < 1% stands twice in criteria"),
    ({"phases.1.triggers.0.on": "basket"}, "phases[1].triggers[0].on: unknown feature 'basket'; valid values: features, cart, search"),
    ({"phases.1.triggers.0.on": ["cart", "serach"]}, "phases[1].triggers[0].on: unknown feature 'serach'"),
    ({"phases.1.triggers.0": {"ui": "crash", "on": "search"}}, "phases[1].triggers[0].on: search: the features named by 'on' have no components"),
    ({"phases.1.triggers.0": {"ui": "crash", "on": ["cart", "search"]}}, "phases[1].triggers[0].on: search: the features named by 'on' have no components"),
    ({"signals.errors.endpoint": "route", "signals.errors.where": {"route": "/.*"}}, "phases[1].triggers[0].on: cart, search: its signal is narrowed on label route already"),
    ({"signals.latency": {"histogram": "h"}, "phases.1.triggers.1.on": "cart"}, "phases[1].triggers[1].on: cart: its signal has neither an endpoint nor a component label"),
    ({"features": {}}, "phases[1].triggers[0].on: no feature: the features named by 'on' have no endpoints"),
    ({"features.features": {}}, "features.features: the name 'features' has a meaning in rules"),
    ({"signals.on": {"histogram": "h"}}, "signals.on: the name 'on' has a meaning in rules"),
    ({"signals.errors.bad": {"status": "5(.."}}, "signals.errors.bad.status: '5(..' is no regular expression"),
    ({"signals.errors.bad": {"status": "(?!2)..."}}, "signals.errors.bad.status: '(?!2)...' : Prometheus knows no".replace(" :", ":")),
    ({"signals.latency.bad": {"status": "5.."}}, "signals.latency: bad and of belong to a counter"),
    ({"signals.errors.of": "x_total"}, "signals.errors: a counter says what is bad: either bad"),
    ({"arms.baseline": {"version": "{candidate}"}}, "arms: canary and baseline select the same series"),
    ({"arms.baseline": {"track": "stable"}}, "arms: canary and baseline can match the same series"),
    ({"arms.baseline": {}}, "arms.baseline: dictionary should have at least 1 item"),
    ({"arms.canary": {"version": "{version}"}}, "arms.canary.version: unknown placeholder {version}; valid values: {candidate}, {stable}"),
    ({"targets.web": SECOND}, "targets: api and web split users independently"),
    ({"targets.flags.read_by": []}, "targets.flags: a flag is on for everybody at any exposure above 0%, and phase canary asks for 10%"),
    ({"targets.flags.read_by": ["apis"]}, "targets.flags.read_by[0]: 'apis' is no target that splits users; valid values: api; did you mean 'api'?"),
    ({"targets.flags.read_by": ["flags"]}, "targets.flags.read_by[0]: 'flags' is no target that splits users"),
    ({"targets.flags.set": {}}, "targets.flags: a flag target needs set"),
    ({"targets.api.set": {"x": True}}, "targets.api.set: set belongs to flag targets; kind envoy splits users itself"),
    ({"targets.api.read_by": ["flags"]}, "targets.api.read_by: read_by belongs to flag targets"),
    ({"targets.api": {"use": "fly/shop", "artifact": "shop:latest"}}, "targets.api.artifact: 'shop:latest' must hold {version} once"),
    ({"targets": {}}, "targets: dictionary should have at least 1 item"),
    ({"time_scale": 0}, "time_scale: input should be greater than 0"),
    ({"time_scale": -1}, "time_scale: input should be greater than 0"),
    ({"review": {"after": ["2h", "1h"]}}, "review.after: the times must rise"),
    ({"review": {"after": ["2h", "2h"]}}, "review.after: the times must rise"),
    ({"rollback": {"within": "0s"}}, "rollback.within: '0s': a duration of 0"),
    ({"name": "Spring!"}, "name: must be a name: small letters"),
    ({"phases": []}, "phases: tuple should have at least 1 item"),
]  # fmt: skip


def problems(file: Path) -> list[str]:
    """What is wrong with a file, without the places."""
    try:
        load_plan(file)
    except PlanError as error:
        return [problem.split(": ", 1)[1] for problem in error.problems]
    return []


@pytest.mark.parametrize(("edits", "words"), CASES)
def test_a_plan_that_cannot_work_is_refused_where_it_goes_wrong(
    plan_file: Write, edits: dict[str, Any], words: str
) -> None:
    """Exactly one problem: path, what is wrong, what would be right."""
    found = problems(plan_file(edits))
    assert len(found) == 1, found
    assert found[0].startswith(words)


@pytest.mark.parametrize(
    "edits",
    [
        {},
        {"targets.web": SECOND, "mixed_versions": "ok"},
        {"targets.flags.read_by": [], "phases": [{"name": "staging", "exposure": "0%"}, {"name": "full", "exposure": "100%"}]},
        {"targets.web": SECOND, "phases": [{"name": "staging", "exposure": "0%"}, {"name": "full", "exposure": "100%"}]},
        {"phases.2": MIDDLE, "phases.3": {"name": "full", "exposure": "100%"}},
        {"phases.2.criteria": [{"errors": "< 1%"}], "phases.2.for": "1h"},
        {"phases.1.triggers.0": {"ui": "crash", "on": "cart"}},
        {"phases.1.triggers.0": {"ui": "crash", "on": "features"}},
        {"phases.1.criteria.2": {"errors": "< 2%"}},
        {"arms": {"canary": {"track": "canary", "app": "shop"}, "baseline": {"track": "", "app": "shop"}}},
    ],
)  # fmt: skip
def test_a_plan_that_works_is_not_refused(plan_file: Write, edits: dict[str, Any]) -> None:
    """Flags without readers, two targets and more phases have their sound forms."""
    assert problems(plan_file(edits)) == []


def test_a_target_that_cannot_be_set_back_or_observed_is_refused(
    plan_file: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rollback must be possible, and its effect must be seen."""
    monkeypatch.setitem(KINDS, "envoy", Kind("target"))
    assert [problem.split("; ")[0] for problem in problems(plan_file({}))] == [
        "targets.api.use: kind envoy cannot be observed, so a rollback could not be verified",
        "targets.api.use: kind envoy cannot be set back to 0%, so it cannot be rolled back",
    ]


def test_a_page_route_must_be_able_to_wake_somebody(plan_file: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notifier that only posts is no page route."""
    monkeypatch.setitem(KINDS, "terminal", Kind("notifier"))
    assert problems(plan_file({})) == ["notify.page[0]: kind terminal cannot wake anybody; valid values: slack"]


def test_a_plan_that_can_wake_nobody_is_refused(plan_file: Write) -> None:
    """Without the key, or with nobody in it: it names the key, what belongs there, and who can wake somebody."""
    assert problems(plan_file({"notify": {"updates": ["slack/sre"]}})) == ["notify: the required key 'page' is missing"]
    assert problems(plan_file({"notify.page": []})) == [
        "notify.page: a plan needs somebody to wake: name at least one block of a kind that can, "
        "such as [slack/oncall]; valid kinds: terminal, slack"
    ]


def test_problems_of_different_parts_come_together(plan_file: Write) -> None:
    """One run tells all of them, in the order of the file."""
    edits = {"traffic": "x", "phases.1.exposure": "0%", "arms.baseline": {"version": "{candidate}"}, "notify.page": []}
    found = [problem.split(": ")[0] for problem in problems(plan_file(edits))]
    assert found == ["arms", "traffic", "notify.page", "phases[1].criteria", "phases[1].triggers"]


def test_the_order_of_exposure_is_the_order_of_the_file(plan_file: Write) -> None:
    """What others call comes first, and stays first in the stored body."""
    web_last = {"targets.web": SECOND, "mixed_versions": "ok"}
    loaded = load_plan(plan_file(web_last))
    assert list(loaded.plan.targets) == ["api", "flags", "web"] == list(json.loads(loaded.body)["targets"])


ADDRESSES = {
    "a check's path": lambda address: {"phases.0.checks.0.get": address},
    "a metrics path": lambda address: {"phases.0.checks.1.path": address},
    "a page": lambda address: {
        "phases.0.checks.0": {"name": "cart", "open": address, "expect": [{"see": "#cart"}], "target": "api"}
    },
    "evidence": lambda address: {"checklist": [{"item": "notes", "evidence": {"url": address}}]},
    "a link": lambda address: {"announce": {"says": "live", "feedback": "https://f.test", "links": {"Notes": address}}},
    "feedback": lambda address: {"announce": {"says": "live", "feedback": address}},
    "a source": lambda address: {"sources": {"survey": {"url": address, "field": "score"}}},
}


@pytest.mark.parametrize("place", ADDRESSES)
@pytest.mark.parametrize(
    "start", ["https://ann:{}@f.test/x", "https://f.test/x?api_key={}", "https://f.test/x?a=1&token={}#b", "/x?pwd={}"]
)
def test_an_address_with_a_secret_is_refused_and_not_repeated(plan_file: Write, place: str, start: str) -> None:
    """A plan is stored and shown in clear: whoever writes a password into a URL of it is told so, without it."""
    found = problems(plan_file(ADDRESSES[place](start.format("s3cret-word"))))
    assert found
    assert "s3cret" not in "\n".join(found)


@pytest.mark.parametrize("query", ["aiType=invoice", "sort_key=name", "page=2&keyword=a", "passed=1", "author=ann"])
def test_an_ordinary_query_is_no_secret(plan_file: Write, query: str) -> None:
    """Parameters that only sound like one are let through."""
    assert problems(plan_file({"phases.0.checks.0.get": f"/orders?{query}"})) == []
