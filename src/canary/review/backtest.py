"""A backtest in words: the same sentences on the terminal and on the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from canary.judge.backtest.chance import Rate, needed
from canary.judge.backtest.found import Detected, LeftOut, Margin, PhaseFound, RuleFound
from canary.judge.backtest.history import History
from canary.judge.words import count, percent, times
from canary.plan.units import duration
from canary.review.words import counted, moment


@dataclass(frozen=True, slots=True)
class Backtest:
    """Everything that a terminal, a page and the journal show of one backtest. history: sentences about the past."""

    plan: str
    service: str
    plan_hash: str
    history: tuple[str, ...]
    phases: tuple[PhaseFound, ...]
    seed: int
    made_at: float

    @property
    def passes(self) -> bool:
        return all(phase.passes for phase in self.phases)

    @property
    def verdict(self) -> str:
        return "PASSES" if self.passes else "DOES NOT PASS"


def history_in_words(history: History) -> tuple[str, ...]:
    """What it holds, and what was odd in it."""
    noted, pods = history.noted, counted(len(history.pods), "pod")
    span = f"{moment(history.start)} to {moment(history.end)}"
    holds = f"{pods}, {count(noted.samples)} samples of {', '.join(history.measures)}, {span}"
    odd = (
        (noted.restarts, "counter restart"),
        (noted.silences, "silence of over 5 min"),
        (noted.twice, "sample of a time seen before"),
        (noted.broken, "row that could not be read"),
    )
    told = [counted(number, what) if number == 1 else f"{number:,} {_many(what)}" for number, what in odd if number]
    return (holds, *([", ".join(told)] if told else []))


def _many(what: str) -> str:
    first, _, rest = what.partition(" ")
    return f"{what}s" if first == "counter" else f"{first}s {rest}"


def phase_in_words(phase: PhaseFound) -> Iterator[str]:
    """What was compared, how often it was falsely rolled back, and what that means for the plan."""
    yield _windows(phase.left_out, duration(phase.seconds))
    if phase.falsely is not None:
        yield f"false rollbacks: {rate_in_words(phase.falsely)}; α is {percent(phase.alpha)}: {_meaning(phase)}"
    if phase.margin is not None and phase.falsely is not None:
        yield margin_in_words(phase.margin)


def _windows(left: LeftOut, length: str) -> str:
    why = [f"{left.gaps:,} with missing scrapes"] * bool(left.gaps)
    why += [f"{left.lonely:,} with fewer than two pods"] * bool(left.lonely)
    out = left.windows - left.kept
    missing = "none was" if not out else "1 was" if out == 1 else f"{out:,} were"
    told = f"of {counted(left.windows, 'window')} of {length}, {missing} left out"
    told += f" ({', '.join(why)})" if why else ""
    some = f"; {left.came_or_went:,} times a pod came or went within one, and was no canary there"
    return told + (some if left.came_or_went else "")


def _meaning(phase: PhaseFound) -> str:
    assert phase.falsely is not None
    untested = [rule.measure for rule in phase.rules if not rule.literal and rule.falsely is None]
    if untested:
        return f"does not pass, since {', '.join(untested)} could not be tested"
    if phase.passes:
        return "passes"
    least = needed(phase.alpha)
    if phase.falsely.share <= phase.alpha:
        return f"does not pass yet: too few windows to be sure (without a false one, {least:,} would be enough)"
    return "does not pass"


def rate_in_words(rate: Rate) -> str:
    """12 of 175,000 (0.0069 %, with 99 % between 0.003 % and 0.013 %)."""
    between = f"with 99 % between {percent(rate.low)} and {percent(rate.high)}"
    return f"{rate.hits:,} of {rate.of:,} ({percent(rate.share)}, {between})"


def margin_in_words(margin: Margin) -> str:
    """What to write in the plan."""
    if margin.margin is None:
        return (
            f"no margin up to 100% is enough: even then {rate_in_words(margin.falsely)}; the pods differ too much, or "
            "a limit is broken by the service's own past"
        )
    if not margin.margin:
        return f"smallest margin: none is needed; without any {rate_in_words(margin.falsely)}"
    return f"smallest margin: {margin.margin:.0%}, with it {rate_in_words(margin.falsely)}: {'  '.join(margin.lines)}"


def rule_in_words(rule: RuleFound) -> str:
    """One line a rule."""
    named = f"{rule.measure} {rule.rule}"
    if rule.falsely is None:
        return f"{named}: not tested, {rule.why}"
    if rule.literal:
        return f"{named} (literal): would have fired on a healthy release in {rate_in_words(rule.falsely)}"
    return f"{named}: falsely in {rate_in_words(rule.falsely)}"


def detections_in_words(rule: RuleFound) -> Iterator[str]:
    """One line a size of harm, from the start of the phase."""
    for found in rule.detected:
        if not found.onset:
            yield f"{times(found.times)} from the start: {detected_in_words(found)}"


def detected_in_words(found: Detected) -> str:
    """How many, how soon, and what it cost."""
    when = "" if found.seconds is None else f", median {duration(found.seconds)}"
    return f"{percent(found.rate.share)} seen{when}, {count(round(found.bad, 1))} bad requests served"


def lines(found: Backtest) -> Sequence[str]:
    """The summary for a terminal."""
    told = [f"{found.plan} of service {found.service}: {found.verdict}", *(f"  {line}" for line in found.history)]
    for phase in found.phases:
        told += [f"  {phase.phase}", *(f"    {line}" for line in phase_in_words(phase))]
        for rule in phase.rules:
            told.append(f"    {rule_in_words(rule)}")
            told += [f"      {line}" for line in detections_in_words(rule)]
    return told
