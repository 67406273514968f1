"""Kayenta's labels: those its own suites publish, and what holds for any numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.errors import BadUsage, MeasurementFailed
from canary.judge.kayenta import Classification, Label, classify

HERE = Path(__file__)
OPTIONS = ("classifier", "direction", "nan_strategy", "tolerance", "conf_level", "effect_size", "effect_measure")
OPTIONS += ("critical_thresholds", "is_critical")


def published(file: str) -> list[Any]:
    """One parameter a case, by its name."""
    cases = json.loads(HERE.with_name(file).read_text())["cases"]
    return [pytest.param(case, id=case["name"]) for case in cases]


def asked(case: dict[str, Any]) -> Classification:
    return classify(case["canary"], case["baseline"], **{option: case[option] for option in OPTIONS})


any_values = st.lists(
    st.one_of(st.floats(), st.floats(0, 10), st.integers(0, 3).map(float), st.sampled_from([0.0, -0.0, 5e-324, 1e308])),
    max_size=8,
)
numbers = st.lists(st.one_of(st.floats(0, 10), st.integers(0, 3).map(float)), min_size=2, max_size=15)
HIGH, LOW = [20.0, 22.0, 21.0, 25.0, 30.0], [1.0, 2.2, 1.1, 2.5, 3.0]
WIDE, NARROW = list(map(float, range(20, 50))), list(map(float, range(10, 40)))
"""The shift is 10; at 98 % it lies between 4 and 16 or so."""


@pytest.mark.parametrize("case", published("kayenta_cases.json"))
def test_a_published_case_gets_its_published_label(case: dict[str, Any]) -> None:
    """Data values of spinnaker/kayenta's ClassifierSuite, commit a69573be, Apache-2.0."""
    found = asked(case)
    assert str(found.label) == case["expected"]
    assert case["expected_critical"] in (None, found.critical)


@pytest.mark.parametrize("case", published("kayenta_more.json"))
def test_so_does_a_case_of_the_later_suite(case: dict[str, Any]) -> None:
    """Data values of ClassifierSuite in spinnaker/spinnaker, kayenta/, commit d2f41cb6, Apache-2.0."""
    found = asked(case)
    assert str(found.label) == case["expected"]
    assert case["expected_critical"] in (None, found.critical)


@given(
    any_values,
    any_values,
    st.sampled_from(["mann_whitney", "mean_inequality"]),
    st.sampled_from(["remove", "replace"]),
    st.sampled_from(["meanRatio", "cles"]),
)
def test_any_numbers_get_a_label_or_a_named_error(
    canary: list[float], baseline: list[float], classifier: Any, nan_strategy: Any, measure: Any
) -> None:
    """NaN, infinities, nothing, one value, huge and tiny ones: no other exception and no warning."""
    try:
        found = classify(
            canary, baseline, classifier=classifier, nan_strategy=nan_strategy, effect_measure=measure, is_critical=True
        )
    except MeasurementFailed:
        return
    assert found.label in Label
    assert found.reason


@given(numbers, numbers)
def test_a_direction_only_leaves_out_the_other_side(canary: list[float], baseline: list[float]) -> None:
    """High under either is high under increase and pass under decrease; low likewise."""
    try:
        either = classify(canary, baseline).label
    except MeasurementFailed:
        return
    assert classify(canary, baseline, direction="increase").label == (Label.HIGH if either == "high" else "pass")
    assert classify(canary, baseline, direction="decrease").label == (Label.LOW if either == "low" else "pass")


@given(numbers, numbers, st.floats(0, 1), st.floats(0, 1))
def test_more_tolerance_finds_nothing_more(
    canary: list[float], baseline: list[float], some: float, other: float
) -> None:
    """A label at the larger tolerance is the label at the smaller one."""
    try:
        strict, lax = (classify(canary, baseline, tolerance=tolerance).label for tolerance in sorted((some, other)))
    except MeasurementFailed:
        return
    assert lax in (strict, "pass")


@given(numbers)
def test_the_same_numbers_in_another_order_pass(values: list[float]) -> None:
    """Identical arms are never asked for their ranks."""
    assert classify(values, values[::-1], is_critical=True).reason == "canary and baseline are identical"


def test_the_tolerance_is_a_share_of_the_estimated_shift() -> None:
    """A lower end at about 4.5 of an estimated 10 is beyond 10 % of it, and within 60 %."""
    assert classify(WIDE, NARROW).label == "high"
    assert classify(WIDE, NARROW, tolerance=0.6).label == "pass"
    assert classify(NARROW, WIDE, tolerance=0.6).label == "pass"


def test_none_is_the_default() -> None:
    """As a caller writes it who has nothing to say."""
    said = classify(WIDE, NARROW, tolerance=None, conf_level=None, effect_size=None, critical_thresholds=None)
    assert said == classify(WIDE, NARROW, tolerance=0.1, conf_level=0.98)
    assert said == classify(WIDE, NARROW, effect_size=(1, 1), critical_thresholds=(1, 1))


@pytest.mark.parametrize(("allowed", "label"), [(1.5, "high"), (1.4, "high"), (1.6, "pass")])
def test_the_effect_has_to_reach_the_allowed_increase(allowed: float, label: str) -> None:
    """A mean of 36 over 24 is a ratio of 1.5: reached counts, to the last bit."""
    baseline = [x - 0.5 for x in NARROW]
    canary = [1.5 * x for x in baseline]
    assert classify(canary, baseline, tolerance=0, effect_size=(0.5, allowed)).label == label


@pytest.mark.parametrize(("allowed", "label"), [(0.0, "low"), (0.1, "low"), (-0.1, "pass")])
def test_the_effect_has_to_reach_the_allowed_decrease(allowed: float, label: str) -> None:
    """The share of pairs that the canary wins, 0 for arms that do not overlap."""
    assert classify(LOW, HIGH, effect_measure="cles", effect_size=(allowed, 1.0)).label == label


def test_cles_without_thresholds_asks_for_half_of_the_pairs() -> None:
    """NetflixACAJudge's default for that measure; 1, the mean ratio's, would need every pair."""
    found = classify(WIDE, NARROW, effect_measure="cles", is_critical=True)
    assert (found.label, found.critical) == ("high", True)
    assert classify(WIDE, NARROW, effect_measure="cles", effect_size=(1, 1)).label == "pass"


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_an_effect_that_cannot_be_computed_is_not_asked(threshold: float) -> None:
    """A mean of 0 has no ratio: thresholds that no ratio reaches do not hold the label back."""
    zeros = [0.0] * 5
    high = classify(HIGH, zeros, effect_size=(0, 99), critical_thresholds=(0, 99), is_critical=True)
    assert (high.label, high.critical) == ("high", True)
    low = classify(zeros, HIGH, effect_size=(-99, 9), critical_thresholds=(-99, threshold), is_critical=True)
    assert (low.label, low.critical) == ("low", True)


@pytest.mark.parametrize(("critical", "expected"), [((1, 12), True), ((1, 13), False)])
def test_critical_is_a_failure_beyond_the_critical_thresholds(critical: tuple[float, float], expected: bool) -> None:
    """The label stays; a metric that is not critical never is."""
    found = classify(HIGH, LOW, critical_thresholds=critical, is_critical=True)
    assert (found.label, found.critical) == ("high", expected)
    assert not classify(HIGH, LOW, critical_thresholds=critical).critical


def test_a_critical_metric_that_passes_is_not_critical() -> None:
    """Neither classifier fails the canary for a pass."""
    assert classify(WIDE, [x + 0.1 for x in WIDE], is_critical=True) == classify(WIDE, [x + 0.1 for x in WIDE])
    assert not classify(LOW, LOW, classifier="mean_inequality", is_critical=True).critical


@pytest.mark.parametrize("missing", [[], [math.nan], [math.nan] * 5])
@pytest.mark.parametrize("classifier", ["mann_whitney", "mean_inequality"])
def test_an_arm_of_nothing_is_nodata(missing: list[float], classifier: Any) -> None:
    """Either arm, and alone critical when the metric is."""
    for arms in ((missing, LOW), (LOW, missing), (missing, missing)):
        for is_critical in (True, False):
            found = classify(*arms, classifier=classifier, is_critical=is_critical)
            assert (found.label, found.critical) == ("nodata", is_critical)
    assert "baseline has no data" in classify(LOW, missing, classifier=classifier).reason


@pytest.mark.parametrize("classifier", ["mann_whitney", "mean_inequality"])
def test_replacing_passes_an_empty_arm_and_counts_nan_as_zero(classifier: Any) -> None:
    """An empty arm has nothing to replace; five NaN are five zeros."""
    empty = classify([], LOW, classifier=classifier, nan_strategy="replace", is_critical=True)
    assert (empty.label, empty.critical) == ("pass", False)
    zeros = classify([math.nan] * 5, HIGH, classifier=classifier, nan_strategy="replace")
    assert zeros == classify([0.0] * 5, HIGH, classifier=classifier)
    assert zeros.label == "low"


def test_removing_leaves_out_nan_only() -> None:
    """The label and its numbers are those of the rest; None is a missing sample too."""
    gaps: Any = [math.nan, *HIGH[:2], None, *HIGH[2:]]
    assert classify(gaps, LOW) == classify(HIGH, LOW)


@pytest.mark.parametrize(
    ("canary", "baseline", "direction", "label"),
    [
        ([2.0], [1.0], "either", "high"),
        ([1.0], [2.0], "either", "low"),
        ([2.0], [1.0], "decrease", "pass"),
        ([1.0], [2.0], "increase", "pass"),
        ([1.0, 3.0], [2.0], "either", "pass"),
    ],
)
def test_the_mean_rule_asks_no_more_than_the_means(
    canary: list[float], baseline: list[float], direction: Any, label: str
) -> None:
    """However small the difference; critical whenever it is high or low."""
    found = classify(canary, baseline, classifier="mean_inequality", direction=direction, is_critical=True)
    assert (found.label, found.critical) == (label, label != "pass")


def test_means_are_equal_whatever_the_order() -> None:
    """0.1 + 0.2 + 0.3 and 0.3 + 0.2 + 0.1 differ in the last bit; a second pass evens that out."""
    assert classify([0.1, 0.2, 0.3], [0.3, 0.2, 0.1], classifier="mean_inequality").label == "pass"


def test_shifted_values_may_overflow_unseen() -> None:
    """The differences fit a double; values shifted by them on the way need not, and nothing warns of it."""
    assert classify([0.0, 1.2e308], [1e308, 1.1e308]).label == "pass"


@pytest.mark.parametrize(("value", "label"), [(1000.0, "high"), (30.0, "pass"), (-1000.0, "low")])
def test_one_value_is_judged_by_where_it_lies_among_the_many(value: float, label: str) -> None:
    """No quantile is in reach of one sample, so the interval is that of all differences: Kayenta calls it anyway."""
    assert classify([value], WIDE).label == label


def test_constant_arms_are_told_apart_beyond_their_noise() -> None:
    """Twelve against ten fails at exactly the allowed ratio; a millionth apart passes."""
    assert classify([12.0] * 5, [10.0] * 5, effect_size=(0.8, 1.2)).label == "high"
    assert classify([10.0] * 5, [12.0] * 5).label == "low"
    assert classify([10.0] * 5, [10.00001] * 5).label == "pass"
    assert classify([1.0] * 3, [1.0] * 7).reason.endswith("the same value throughout")


def test_one_value_against_one_has_no_label() -> None:
    """Kayenta's own label there is Error."""
    with pytest.raises(MeasurementFailed, match="tied"):
        classify([5.0], [1.0])


@pytest.mark.parametrize("infinite", [math.inf, -math.inf])
@pytest.mark.parametrize("classifier", ["mann_whitney", "mean_inequality"])
def test_infinite_values_are_refused_by_the_arm_s_name(infinite: float, classifier: Any) -> None:
    """A ratio of something over nothing is no sample."""
    with pytest.raises(MeasurementFailed, match="the baseline has infinite values"):
        classify(LOW, [*LOW, infinite], classifier=classifier)


@pytest.mark.parametrize("values", ["abc", [[1.0], [2.0]], ["a"], 3.0, None, [10**400], [1j]])
def test_what_is_no_list_of_numbers_is_refused(values: Any) -> None:
    """With the arm's name."""
    with pytest.raises(BadUsage, match="the canary is no list of numbers"):
        classify(values, LOW)


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("classifier", "mannwhitney", "mann_whitney, mean_inequality"),
        ("direction", "up", "either, increase, decrease"),
        ("nan_strategy", "drop", "remove, replace"),
        ("effect_measure", "cohen", "meanRatio, cles"),
        ("tolerance", -0.1, "share of the estimated shift"),
        ("tolerance", math.nan, "share of the estimated shift"),
        ("tolerance", math.inf, "share of the estimated shift"),
        ("conf_level", 0.0, "between 0 and 1"),
        ("conf_level", 1.0, "between 0 and 1"),
        ("conf_level", math.nan, "between 0 and 1"),
        ("effect_size", (1.0,), "allowed decrease, allowed increase"),
        ("critical_thresholds", (1.0, math.nan), "allowed decrease, allowed increase"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(option: str, value: Any, told: str) -> None:
    """Kayenta would take its default; here the error says what there is."""
    with pytest.raises(BadUsage, match=option) as refused:
        classify(HIGH, LOW, **{option: value})
    assert told in refused.value.fix


def test_the_caller_s_arrays_stay_as_they_are() -> None:
    """Arrays are welcome, and neither sorted nor replaced in place."""
    canary, baseline = np.array([3.0, math.nan, 1.0]), np.array([9.0, 7.0, 8.0])
    classify(canary, baseline, nan_strategy="replace")
    np.testing.assert_array_equal(canary, [3.0, math.nan, 1.0])
    np.testing.assert_array_equal(baseline, [9.0, 7.0, 8.0])


def test_the_reason_holds_the_numbers() -> None:
    """One sentence: the interval, what is tolerated, the effect."""
    assert classify(HIGH, LOW).reason == (
        "the canary is shifted by 17 to 29 (98 % confidence, tolerated ± 2); the effect size meanRatio is 12.04"
    )
