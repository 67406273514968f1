"""Drafts of what people publish after a rollout, rendered from what was journaled; and the announcement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from canary.plan.model import Plan
from canary.plan.units import duration, percent
from canary.ports import Entry
from canary.review.figures import TOLD, figures
from canary.rollout.events import parse
from canary.rollout.folding import fold
from canary.rollout.state import State
from canary.rollout.words import say

DRAFTS = ("deploy-guide.md", "training.md", "lessons.md")
_COUNTED = {
    "phase_extended": "phases that needed more time",
    "hold_started": "holds that waited for a person",
    "measurement_failed": "outages of the metrics",
    "exposure_drifted": "drifts of a target's exposure",
    "paged": "pages",
}


def drafts(plan: Plan, state: State, entries: Sequence[Entry], at: float) -> dict[str, str]:
    """File name → text: an entry for the deploy guide, a page for users, lessons learned. `at` in unix seconds."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("canary.review"), undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True
    )
    environment.filters |= {"percent": percent, "duration": lambda seconds: duration(round(seconds)), "title": _title}
    told = _told(plan, state, entries, at)
    return {name: environment.get_template(f"{name}.j2").render(told) for name in DRAFTS}


def announcement(plan: Plan, state: State) -> str:
    """That it is there, where to read on, and where to say what one thinks of it."""
    if plan.announce is None:
        return f"{state.service} {state.version} is live for everybody"
    links = [f"{title}: {address}" for title, address in plan.announce.links.items()]
    return "\n".join([plan.announce.says, *links, f"Say what you think: {plan.announce.feedback}"])


def _told(plan: Plan, state: State, entries: Sequence[Entry], at: float) -> Mapping[str, Any]:
    return {
        "plan": plan,
        "state": state,
        "day": f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}",
        "former": state.former,
        "rows": list(_rows(state)),
        "roles": " and ".join(role.name for role in plan.roles.values()) or "the team",
        "counted": _counted(entries),
        "history": list(_history(state.rollout, entries)),
    }


def _rows(state: State) -> Iterator[dict[str, str]]:
    """Each figure of the candidate, beside the former baseline's."""
    before = state.former.figures if state.former else {}
    for measure, shown in figures(state.evidence, "canary").items():
        for name in ("share", *TOLD):
            if name in shown:
                past = before.get(measure, {}).get(name)
                yield {"name": f"{measure} {name}", "now": _value(name, shown[name]), "before": _value(name, past)}


def _value(name: str, value: float | None) -> str:
    if value is None:
        return "not recorded"
    return f"{value:.3%}" if name == "share" else f"{value * 1000:.1f} ms"


def _counted(entries: Sequence[Entry]) -> dict[str, int]:
    found = Counter(entry.type for entry in entries)
    return {words: found[kind] for kind, words in _COUNTED.items()}


def _history(rollout: str, entries: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    state = State(rollout)
    for entry in entries:
        state = fold(state, [entry])
        if sentence := say(state, parse(entry)):
            yield f"{datetime.fromtimestamp(entry.at, UTC):%H:%M:%S}", sentence


def _title(name: str) -> str:
    return name.replace("_", " ").replace("-", " ").capitalize()
