"""From two arms of values to pass, high, low or nodata."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from operator import add
from typing import Literal, get_args

import numpy as np

from canary.errors import BadUsage, MeasurementFailed
from canary.judge.kayenta.shift import Shift, Values, shift, wins
from canary.judge.words import percent

Classifier = Literal["mann_whitney", "mean_inequality"]
Direction = Literal["either", "increase", "decrease"]
NanStrategy = Literal["remove", "replace"]
Measure = Literal["meanRatio", "cles"]
Pair = Sequence[float]
"""(allowed decrease, allowed increase) of the effect size."""

TOLERANCE = 0.1
CONF_LEVEL = 0.98


class Label(StrEnum):
    """How the canary's metric compares with the baseline's."""

    PASS = "pass"
    HIGH = "high"
    LOW = "low"
    NODATA = "nodata"


@dataclass(frozen=True, slots=True)
class Classification:
    """The label, whether it alone fails the whole canary, and why, in one sentence."""

    label: Label
    critical: bool
    reason: str


@dataclass(frozen=True, slots=True)
class _RankRule:
    direction: Direction
    tolerance: float
    conf_level: float
    measure: Measure
    allowed: Pair
    critical: Pair


def classify(
    canary: Sequence[float] | Values,
    baseline: Sequence[float] | Values,
    *,
    classifier: Classifier = "mann_whitney",
    direction: Direction = "either",
    nan_strategy: NanStrategy = "remove",
    tolerance: float | None = TOLERANCE,
    conf_level: float | None = CONF_LEVEL,
    effect_size: Pair | None = None,
    effect_measure: Measure = "meanRatio",
    critical_thresholds: Pair | None = None,
    is_critical: bool = False,
) -> Classification:
    """What Kayenta says of one metric; the values are in any one unit, NaN where a sample is missing.

    mann_whitney: high (low) when the confidence interval of the shift lies above (below) ± tolerance × the estimated
    shift and the effect size has reached the allowed increase (decrease). An effect size that cannot be computed (a
    mean of 0) is not asked. NetflixACAJudge itself runs with tolerance 0.25 and conf_level 0.98; both are shares.
    mean_inequality: high or low as soon as the means differ.
    nan_strategy: replace puts 0 for NaN and passes an empty arm; remove leaves NaN out, and an empty arm is nodata.
    effect_size, critical_thresholds: (allowed decrease, allowed increase); None is (1, 1), for cles (0.5, 0.5).
    Critical is a failure beyond critical_thresholds, or nodata, of a metric that is_critical. None is the default.

    Raises BadUsage for an option that does not exist or makes no sense, and for what is no list of numbers;
    MeasurementFailed for infinite values and where the rank test has no answer (such as one value against one).
    """
    _one_of("classifier", classifier, get_args(Classifier))
    _one_of("direction", direction, get_args(Direction))
    _one_of("nan_strategy", nan_strategy, get_args(NanStrategy))
    _one_of("effect_measure", effect_measure, get_args(Measure))
    rule = _RankRule(
        direction,
        _tolerance(TOLERANCE if tolerance is None else tolerance),
        _conf_level(CONF_LEVEL if conf_level is None else conf_level),
        effect_measure,
        _pair("effect_size", effect_size, effect_measure),
        _pair("critical_thresholds", critical_thresholds, effect_measure),
    )
    ours, theirs = _values("canary", canary, nan_strategy), _values("baseline", baseline, nan_strategy)
    if not ours.size or not theirs.size:
        return _without_data("canary" if not ours.size else "baseline", nan_strategy, is_critical)
    if classifier == "mean_inequality":
        return _by_mean(ours, theirs, direction, is_critical)
    return _by_rank(ours, theirs, rule, is_critical)


def _one_of(option: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise BadUsage(f"kayenta has no {option} {given!r}", f"use one of: {', '.join(known)}")


def _tolerance(given: float) -> float:
    if not 0 <= given < math.inf:
        raise BadUsage(f"tolerance is {given}", "give it as a share of the estimated shift, such as 0.25")
    return float(given)


def _conf_level(given: float) -> float:
    if not 0 < given < 1:
        raise BadUsage(f"conf_level is {given}", "give it as a share between 0 and 1, such as 0.98")
    return float(given)


def _pair(option: str, given: Pair | None, measure: Measure) -> Pair:
    """NetflixACAJudge's defaults: no effect at all is 1 as a ratio, 0.5 as the share of pairs won."""
    if given is None:
        return (0.5, 0.5) if measure == "cles" else (1.0, 1.0)
    if len(given) != 2 or any(math.isnan(bound) for bound in given):
        raise BadUsage(f"{option} is {list(given)}", f"give {option} as (allowed decrease, allowed increase)")
    return float(given[0]), float(given[1])


def _values(arm: str, given: Sequence[float] | Values, nan_strategy: NanStrategy) -> Values:
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        values = np.empty((0, 0))
    if values.ndim != 1:
        raise BadUsage(f"the {arm} is no list of numbers", f"give the {arm}'s values as one flat list")
    if np.isinf(values).any():
        raise MeasurementFailed(f"the {arm} has infinite values", "leave them out or give them as NaN")
    missing = np.isnan(values)
    return values[~missing] if nan_strategy == "remove" else np.where(missing, 0.0, values)


def _without_data(arm: str, nan_strategy: NanStrategy, is_critical: bool) -> Classification:
    if nan_strategy == "replace":
        return Classification(Label.PASS, False, f"the {arm} has no data, which replacing passes")
    return Classification(Label.NODATA, is_critical, f"the {arm} has no data")


def _by_mean(ours: Values, theirs: Values, direction: Direction, is_critical: bool) -> Classification:
    canary, baseline = _mean(ours), _mean(theirs)
    said = f"the canary's mean is {canary:.4g}, the baseline's {baseline:.4g}"
    if direction != "decrease" and canary > baseline:
        return Classification(Label.HIGH, is_critical, said)
    if direction != "increase" and canary < baseline:
        return Classification(Label.LOW, is_critical, said)
    return Classification(Label.PASS, False, said)


def _by_rank(ours: Values, theirs: Values, rule: _RankRule, is_critical: bool) -> Classification:
    canary, baseline = np.sort(ours), np.sort(theirs)
    if np.array_equal(canary, baseline):
        return Classification(Label.PASS, False, "canary and baseline are identical")
    if canary[0] == canary[-1] == baseline[0] == baseline[-1]:
        return Classification(Label.PASS, False, "canary and baseline are the same value throughout")
    found = shift(canary, baseline, rule.conf_level)
    effect = wins(canary, baseline) / (canary.size * baseline.size) if rule.measure == "cles" else _ratio(ours, theirs)
    label = _label(found, effect, rule)
    critical = is_critical and _reaches(label, effect, rule.critical)
    return Classification(label, critical, _said(found, effect, rule))


def _label(found: Shift, effect: float, rule: _RankRule) -> Label:
    bound = rule.tolerance * abs(found.estimate)
    if rule.direction != "decrease" and found.lower > bound and _reaches(Label.HIGH, effect, rule.allowed):
        return Label.HIGH
    if rule.direction != "increase" and found.upper < -bound and _reaches(Label.LOW, effect, rule.allowed):
        return Label.LOW
    return Label.PASS


def _reaches(label: Label, effect: float, thresholds: Pair) -> bool:
    """Whether the effect is large enough for the label; one that cannot be computed is."""
    if label is Label.HIGH:
        return math.isnan(effect) or effect >= thresholds[1]
    return label is Label.LOW and (math.isnan(effect) or effect <= thresholds[0])


def _said(found: Shift, effect: float, rule: _RankRule) -> str:
    size = "cannot be computed" if math.isnan(effect) else f"is {effect:.4g}"
    return (
        f"the canary is shifted by {found.lower:.4g} to {found.upper:.4g} ({percent(rule.conf_level)} confidence, "
        f"tolerated ± {rule.tolerance * abs(found.estimate):.4g}); the effect size {rule.measure} {size}"
    )


def _ratio(ours: Values, theirs: Values) -> float:
    """Canary's mean over the baseline's; NaN when either is 0."""
    canary, baseline = _mean(ours), _mean(theirs)
    return math.nan if 0.0 in (canary, baseline) else canary / baseline


def _mean(values: Values) -> float:
    """In two passes, left to right, as commons-math: a threshold on the mean ratio is compared to the last bit."""
    every: list[float] = values.tolist()
    first = reduce(add, every) / len(every)
    return first + reduce(add, (value - first for value in every)) / len(every)
