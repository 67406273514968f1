"""What each rule of a phase can decide in its time, at the service's traffic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from canary.judge.baseline_trial import Compared
from canary.judge.limits_trial import Limited
from canary.judge.power.advice import Lacking, advice
from canary.judge.power.cell import Cell, Limits, Setting, cell_of
from canary.judge.power.facts import Facts, Known
from canary.judge.power.firing import clean_needed, firing, honest
from canary.judge.power.green import PROMOTED, Green, clean_for, green
from canary.judge.power.search import SEED, Smallest, harmed, search
from canary.judge.power.signs import Signs, signs
from canary.judge.saying import CRITERIA
from canary.judge.terms import BLOCK, Terms
from canary.plan.model import AnySeen, NoneSeen, NoWorseThanBaseline, Phase, Rule, Signal, WorseThanBaseline
from canary.plan.rules import is_literal
from canary.plan.units import duration

BROKEN = 0.05
"""Share of healthy releases rolled back, above which it is no accident: the service itself breaks the rule."""
COARSE_LOOK = 500
Standing = Literal["decides", "cannot decide", "literal", "unknown"]


@dataclass(frozen=True, slots=True)
class Outlook:
    """One rule in one phase.

    judged: how: "steady", "cluster 4", "sign test", "literal". axis: what the factors of `smallest` and `curve` are.
    fires: the chance to end a healthy release, 0–1; instead: of a literal rule, the statistical one to write.
    clean: canary requests without a bad one before a limit is shown to be kept. why: what is missing, or the reason.
    """

    rule: str
    measure: str
    side: Literal["criterion", "trigger"]
    judged: str
    standing: Standing
    axis: Literal["bad", "slow", ""] = ""
    smallest: Smallest | None = None
    green: Green | None = None
    signs: Signs | None = None
    fires: float | None = None
    clean: int | None = None
    instead: str = ""
    why: str = ""
    notes: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()
    curve: tuple[tuple[float, float], ...] = ()

    @property
    def name(self) -> str:
        """As a plan says it: "http_errors any on features"."""
        signal, narrowed, features = self.measure.partition(" on ")
        return f"{signal} {self.rule}{narrowed}{features}"

    def to_data(self) -> dict[str, Any]:
        """JSON data; shares 0–1, seconds of plan time."""
        return asdict(self)


def outlooks(
    phase: Phase, terms: Terms, signals: Mapping[str, Signal], facts: Facts, simulate: bool = True
) -> Iterator[Outlook]:
    """One a rule of a phase with users and a duration, criteria first; none of another phase.

    signals: by measure. simulate: False leaves out what takes seconds: what can be detected, and suggestions.
    """
    if not phase.exposure or not phase.duration:
        return
    rules = (*phase.criteria, *phase.triggers)
    weights = sum(rule.how.weight for rule in rules if not is_literal(rule))
    for rule in rules:
        setting = Setting(terms, phase.exposure, int(phase.duration // BLOCK), rule.how.weight / (weights or 1.0))
        known = facts.of(rule.measure, signals[rule.measure].is_a)
        if is_literal(rule):
            yield _literal(rule, setting, known)
        elif rule.measure in terms.windows and isinstance(rule, NoWorseThanBaseline | WorseThanBaseline):
            yield _signs(rule, setting, terms.windows[rule.measure])
        else:
            assert not isinstance(rule, NoneSeen | AnySeen)
            cell = cell_of(rule, setting, known)
            yield _missing(rule, cell) if isinstance(cell, str) else _judged(rule, setting, known, cell, simulate)


def _side(rule: Rule) -> Literal["criterion", "trigger"]:
    return "criterion" if isinstance(rule, (*CRITERIA, NoneSeen)) else "trigger"


def _missing(rule: Rule, why: str) -> Outlook:
    return Outlook(rule.text, rule.measure, _side(rule), _how(rule), "unknown", why=why)


def _how(rule: Rule) -> str:
    compared = isinstance(rule, NoWorseThanBaseline | WorseThanBaseline)
    return rule.how.profile if compared else f"cluster {rule.how.cluster}"


def _literal(rule: Rule, setting: Setting, known: Known) -> Outlook:
    found = firing(rule, setting, known)
    fires, why = (None, found) if isinstance(found, str) else (found, "")
    clean = clean_needed(rule) if isinstance(rule, NoneSeen | AnySeen) else None
    instead = honest(rule, setting.exposure, known)
    standing: Standing = "unknown" if why else "literal"
    return Outlook(
        rule.text, rule.measure, _side(rule), "literal", standing, fires=fires, clean=clean, instead=instead, why=why,
        notes=_notes(known),
    )  # fmt: skip


def _signs(rule: Compared, setting: Setting, minutes: float) -> Outlook:
    found, side = signs(rule, minutes, setting), _side(rule)
    to_pass = found.to_pass if side == "criterion" else 0
    needed = max(found.to_fail, to_pass)
    told = Outlook(rule.text, rule.measure, side, "sign test", "decides", signs=found)
    if found.windows >= needed:
        return told
    green_needs = f", green {to_pass}" if to_pass else ""
    why = (
        f"{found.windows} windows of {duration(found.window)} can never decide: "
        f"a rollback needs {found.to_fail}{green_needs}, all on one side"
    )
    longer = f"longer: for: {duration(needed * found.window + setting.warm * BLOCK)}, at the least"
    instead = "a counter or a histogram in place of a ready-made number"
    return replace(told, standing="cannot decide", why=why, suggestions=(longer, instead))


def _judged(rule: Compared | Limited, setting: Setting, known: Known, cell: Cell, simulate: bool) -> Outlook:
    judged = _how(rule)
    clean = clean_for(cell.form, setting.terms.fine) if isinstance(cell.form, Limits) else None
    notes = (*((cell.caveat,) if cell.caveat else ()), *_notes(known))
    side = _side(rule)
    if not simulate:
        return Outlook(rule.text, rule.measure, side, judged, "unknown", cell.axis, clean=clean, notes=notes)
    found, shown = search(cell, setting), green(cell, setting) if side == "criterion" else None
    lacking = Lacking(harm=found.smallest is None, green=shown is not None and shown.share < PROMOTED)
    fires = float(harmed(cell, setting, np.ones(1), COARSE_LOOK, SEED).reached[0])
    lacks = list(_lacks(lacking, shown, fires))
    standing: Standing = "cannot decide" if lacks else "decides"
    suggestions = advice(rule, setting, known, cell, lacking) if lacking.harm or lacking.green else ()
    return Outlook(
        rule.text, rule.measure, side, judged, standing, cell.axis, found.smallest, shown, fires=fires, clean=clean,
        why="; ".join(lacks), notes=notes, suggestions=suggestions, curve=found.curve,
    )  # fmt: skip


def _lacks(lacking: Lacking, shown: Green | None, fires: float) -> Iterator[str]:
    if fires > BROKEN:
        yield f"as the service is today it breaks the rule: {100 * fires:.3g} % of healthy releases are rolled back"
    if shown and lacking.green:
        yield f"a healthy release goes green in only {100 * shown.share:.3g} %"
    if lacking.harm:
        yield "no harm at all would be found in nine of ten"


def _notes(known: Known) -> tuple[str, ...]:
    return ("reckoned with the whole signal's traffic: narrowed to features it is less",) if known.narrowed else ()
