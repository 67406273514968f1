"""A backtest as one HTML file without anything from outside, in the look of a review."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from importlib.resources import files
from typing import Any

from canary.judge.backtest.chance import Rate
from canary.judge.backtest.found import PhaseFound, RuleFound
from canary.judge.words import percent, times
from canary.plan.units import duration
from canary.review import words
from canary.review.backtest import Backtest, detected_in_words, phase_in_words, rule_in_words

OURS, THEIRS = "#b3430a", "#1f5fa8"
LINES = ("-", "--", ":", "-.")
MOST = 24
"""Pods or months in one plot; more names cannot be read on a phone."""


def html(found: Backtest) -> str:
    """For a screen of 390 px and wider, and for paper. Every text is escaped."""
    from jinja2 import Environment, StrictUndefined

    folder = files("canary.review")
    style = folder.joinpath("page.html").read_text("utf-8").partition("<style>")[2].partition("</style>")[0]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(folder.joinpath("templates", "backtest.html").read_text("utf-8"))
    phases = [_phase(phase) for phase in found.phases]
    return page.render(found=found, phases=phases, style=style, made=words.moment(found.made_at))


def _phase(phase: PhaseFound) -> dict[str, Any]:
    return {
        "name": phase.phase,
        "lines": list(phase_in_words(phase)),
        "rules": [rule_in_words(rule) for rule in phase.rules],
        "plots": list(_plots(phase)),
        "rows": [row for rule in phase.rules for row in _rows(rule)],
        "sampled": phase.sampled,
    }


def _rows(rule: RuleFound) -> Iterator[tuple[str, str, str, str]]:
    for one in rule.detected:
        yield f"{rule.measure} {rule.rule}", times(one.times), _since(one.onset), detected_in_words(one)


def _since(onset: float) -> str:
    return f"after {duration(onset)}" if onset else "from the start"


def _plots(phase: PhaseFound) -> Iterator[tuple[str, str]]:
    from canary.review.plots import drawn

    if phase.falsely is not None:
        by = {"month": phase.months, "pod": dict(sorted(phase.pods.items(), key=lambda pod: -pod[1].share))}
        for name, rates in by.items():
            shown = dict(list(rates.items())[-MOST:] if name == "month" else list(rates.items())[:MOST])
            yield f"False rollbacks by {name}", drawn(partial(_bars, rates=shown, alpha=phase.alpha))
    for rule in phase.rules:
        if rule.detected:
            title = f"{rule.measure} {rule.rule}: harm seen within the phase"
            yield title, drawn(partial(_detected, rule=rule))


def _bars(axes: Any, rates: Mapping[str, Rate], alpha: float) -> None:
    places, values = range(len(rates)), [rate.share for rate in rates.values()]
    below = [rate.share - rate.low for rate in rates.values()]
    above = [rate.high - rate.share for rate in rates.values()]
    axes.errorbar(places, values, yerr=[below, above], fmt="o", color=OURS, ecolor="#999999", capsize=3)
    axes.axhline(alpha, color=THEIRS, linestyle="--", linewidth=1.2, label=f"α = {percent(alpha)}")
    axes.set_xticks(places, list(rates), rotation=45, ha="right", fontsize=7)
    axes.set_ylim(bottom=0)
    _finish(axes)


def _detected(axes: Any, rule: RuleFound) -> None:
    onsets = sorted({one.onset for one in rule.detected})
    for number, onset in enumerate(onsets):
        these = [one for one in rule.detected if one.onset == onset]
        sizes, shares = [one.times for one in these], [one.rate.share for one in these]
        axes.plot(sizes, shares, LINES[number % len(LINES)], marker="o", color=OURS, label=_since(onset))
    axes.set_xscale("log")
    axes.set_xticks(sizes, [times(size) for size in sizes])
    axes.minorticks_off()
    axes.set_ylim(0, 1.05)
    _finish(axes)


def _finish(axes: Any) -> None:
    axes.yaxis.set_major_formatter(lambda value, _: percent(value))
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8)
