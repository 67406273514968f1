"""Rules: from the text of a plan to what the judge is asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.plan.model import (
    AnySeen,
    NoneSeen,
    QuantileAbove,
    QuantileBelow,
    RateAbove,
    RateBelow,
    RatioAbove,
    RatioBelow,
    Rule,
    WorseThanBaseline,
)
from canary.plan.rules import criterion, trigger


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("< 1%", RateBelow("< 1%", "x", 0.01)),
        ("<0.5%", RateBelow("<0.5%", "x", 0.005)),
        ("p95 < 200ms", QuantileBelow("p95 < 200ms", "x", 0.95, 0.2)),
        ("p99.9 < 1.5s", QuantileBelow("p99.9 < 1.5s", "x", 0.9990000000000001, 1.5)),
        ("none", NoneSeen("none", "x")),
        ("p20 > 85%", RatioAbove("p20 > 85%", "x", 0.2, 0.85, "share")),
        ("p50 < 0.2", QuantileBelow("p50 < 0.2", "x", 0.5, 0.2, "share")),
    ],
)
def test_every_form_of_a_criterion_is_read_with_limits_as_shares_and_seconds(text: str, rule: Rule) -> None:
    """Per cent become shares, milliseconds seconds; the text stays as written."""
    assert criterion({"x": text}) == rule


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("> 5%", RateAbove("> 5%", "x", 0.05)),
        ("p95 > 1s", QuantileAbove("p95 > 1s", "x", 0.95, 1.0)),
        ("p10 < 0.5", RatioBelow("p10 < 0.5", "x", 0.1, 0.5, "share")),
        ("p50 > 20%", QuantileAbove("p50 > 20%", "x", 0.5, 0.2, "share")),
        ("any", AnySeen("any", "x")),
        ("crash", AnySeen("crash", "x")),
        ("> 20% over baseline", WorseThanBaseline("> 20% over baseline", "x", 0.2)),
        ("worse than baseline", WorseThanBaseline("worse than baseline", "x", 0.0)),
        ("p50 worse than baseline", WorseThanBaseline("p50 worse than baseline", "x", 0.0, 0.5)),
        ("p99 > 20% over baseline", WorseThanBaseline("p99 > 20% over baseline", "x", 0.2, 0.99)),
    ],
)
def test_every_form_of_a_trigger_is_read(text: str, rule: Rule) -> None:
    """A comparison without a quantile leaves it to the judge where to look."""
    assert trigger({"x": text}) == rule


@pytest.mark.parametrize(
    ("on", "measure", "names"),
    [
        ("features", "x on features", ("features",)),
        ("cart", "x on cart", ("cart",)),
        (["cart", "search"], "x on cart, search", ("cart", "search")),
    ],
)
def test_a_narrowed_rule_measures_something_of_its_own(on: object, measure: str, names: tuple[str, ...]) -> None:
    """The measure id names signal and features, and both can be had back from it."""
    rule = trigger({"x": "any", "on": on})
    assert (rule.measure, rule.signal, rule.on) == (measure, "x", names)


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("p95 << 200ms", "'p95 < 200ms'"),
        ("p99 < 250 msec", "'p99 < 250ms'"),
        ("<3", "'< 3%'"),
        ("nome", "'none'"),
    ],
)
def test_a_misspelt_criterion_is_answered_with_the_writers_own_numbers(text: str, suggestion: str) -> None:
    """The suggestion can be pasted: it keeps the quantile and the limit."""
    with pytest.raises(ValueError, match="valid values: 'p95 < 200ms', '< 1%', 'none'") as caught:
        criterion({"x": text})
    assert str(caught.value).endswith(f"did you mean {suggestion}?")


def test_a_latency_limit_without_its_unit_is_no_ratio() -> None:
    """p95 < 200 could be seconds or milliseconds: it is refused with both forms, never taken for 20,000 %."""
    with pytest.raises(ValueError, match=r"'p95 < 200' is no criterion; .*did you mean 'p95 < 200ms'"):
        criterion({"x": "p95 < 200"})


def test_a_trigger_among_criteria_is_told_where_it_belongs() -> None:
    """And a criterion among triggers: reading it the other way round would promote what should roll back."""
    with pytest.raises(ValueError, match="'> 5%' belongs under triggers"):
        criterion({"x": "> 5%"})
    with pytest.raises(ValueError, match="'p95 < 1s' belongs under criteria"):
        trigger({"x": "p95 < 1s"})


@pytest.mark.parametrize("text", ["< 0%", "< 100%", "< 250%", "p95 < 0ms", "p0 < 1s", "p20 > 0%", "p20 > 100%"])
def test_a_limit_that_nothing_or_everything_meets_is_refused(text: str) -> None:
    """Such a rule would decide before anything is measured."""
    with pytest.raises(ValueError, match=r"limit|quantile"):
        criterion({"x": text})


@pytest.mark.parametrize("text", ["> 0%", "> 100%", "> 0% over baseline", "p95 > 0s", "p50 > 0"])
def test_a_trigger_that_always_or_never_fires_is_refused(text: str) -> None:
    """As for criteria."""
    with pytest.raises(ValueError, match=r"limit|no difference"):
        trigger({"x": text})


@pytest.mark.parametrize(
    "value",
    [
        "none",
        {},
        {"on": "features"},
        {"x": "none", "y": "none"},
        {"x": 5},
        {"x": None},
        {"x": "none", "on": []},
        {"x": "none", "on": 3},
        {"x": "none", "on": ["cart", "cart"]},
        {"x": "none", "on": ["features", "cart"]},
    ],
)
def test_a_rule_of_another_shape_is_refused(value: object) -> None:
    """One signal, one text, at most one narrowing."""
    with pytest.raises(ValueError, match=r"must be|names a feature twice"):
        criterion(value)


_TEXTS = st.text(alphabet="p0159.<>% msanyoeverblicrh") | st.text()


@given(st.sampled_from([criterion, trigger]), _TEXTS)
def test_arbitrary_text_is_a_rule_of_the_right_side_or_refused(read: object, text: str) -> None:
    """Only ValueError leaves a reader, and no rule gets onto the wrong side."""
    try:
        rule = read({"x": text})  # type: ignore[operator]
    except ValueError:
        return
    assert isinstance(rule, (RateBelow, QuantileBelow, RatioAbove, NoneSeen)) == (read is criterion)
    assert rule.text == text
    assert getattr(rule, "limit", 1.0) > 0
    assert 0 < getattr(rule, "quantile", 0.5) < 1
