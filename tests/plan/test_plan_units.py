"""Durations and shares as people write them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.plan.units import duration, percent, seconds, share


@pytest.mark.parametrize(
    ("text", "expected"), [("15s", 15), ("30m", 1800), ("8h", 28800), ("1h30m", 5400), ("1h1m1s", 3661), ("90m", 5400)]
)
def test_a_duration_is_read_as_seconds(text: str, expected: float) -> None:
    """Hours, minutes and seconds add up."""
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "text", ["", "30", "m", "30 m", "-5m", "5d", "m30", "1s1m", "1.5h", 30, 30.0, None, True, ["1s"]]
)
def test_what_is_no_duration_is_refused_with_examples(text: object) -> None:
    """A number without a unit is no duration: it could be minutes or seconds."""
    with pytest.raises(ValueError, match="valid values look like 30m, 8h, 15s or 1h30m"):
        seconds(text)


@pytest.mark.parametrize("text", ["0s", "0m", "0h0m0s"])
def test_a_duration_of_zero_is_refused(text: str) -> None:
    """Nothing can be shown in no time."""
    with pytest.raises(ValueError, match="duration of 0"):
        seconds(text)


@given(st.integers(1, 10**7))
def test_a_duration_in_words_is_read_back_as_the_same_seconds(whole: int) -> None:
    """What the plan prints, the plan accepts."""
    assert seconds(duration(float(whole))) == whole


def test_fractions_of_a_second_are_shown() -> None:
    """Scaled durations need not be whole."""
    assert (duration(0.5), duration(0.0), duration(60.0)) == ("0.5s", "0s", "1m")


@pytest.mark.parametrize(
    ("text", "expected"), [("0%", 0.0), ("10%", 0.1), ("2.5%", 0.025), ("29%", 0.29), ("100%", 1.0)]
)
def test_a_share_is_read_exactly(text: str, expected: float) -> None:
    """10% is the float 0.1, and is printed as it was written."""
    assert share(text) == expected
    assert percent(share(text)) == text


@pytest.mark.parametrize("text", ["10", "101%", "-1%", "% 10", "ten%", 10, 0.1, None, "1e1%"])
def test_what_is_no_share_is_refused_with_examples(text: object) -> None:
    """A bare number could be a share or per cent."""
    with pytest.raises(ValueError, match=re.escape("0%, 2.5%, 10% or 100%")):
        share(text)


@given(st.text() | st.integers() | st.floats() | st.none())
def test_arbitrary_input_is_read_or_refused_in_words(value: object) -> None:
    """Nothing but ValueError leaves a reader, and what is read has its unit's range."""
    for reader, low, high in ((seconds, 1.0, float("inf")), (share, 0.0, 1.0)):
        told = ""
        try:
            assert low <= reader(value) <= high
        except ValueError as error:
            told = str(error)
        assert not told or "valid values" in told or "duration of 0" in told
