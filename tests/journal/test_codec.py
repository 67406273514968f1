"""Stored text → data: fast, and exactly what the standard library's JSON gives."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.errors import JournalError
from canary.journal.codec import decode, encode
from canary.ports import NewEntry

texts = st.text(st.characters())
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture
def collector() -> Iterator[None]:
    """The garbage collector is left as it was found, and so is the time that each thread has in turn."""
    collects, turn = gc.isenabled(), sys.getswitchinterval()
    yield
    sys.setswitchinterval(turn)
    (gc.enable if collects else gc.disable)()


@given(st.dictionaries(texts, values, max_size=4))
def test_data_comes_back_with_its_types(data: dict[str, Any]) -> None:
    """Integers stay integers however big, floats keep their last bit and their sign, lone surrogates their place."""
    text = encode(NewEntry(0.0, "noted", data))
    assert repr(decode("r1", 1, text)) == repr(json.loads(text)) == repr(data)


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"a": 1,}', '{"a": 1} x'])
def test_what_is_no_json_object_is_refused_by_its_number(text: str) -> None:
    """The journal was changed by something else: the error names the line."""
    with pytest.raises(JournalError, match="entry 7 of rollout r1"):
        decode("r1", 7, text)


@pytest.mark.usefixtures("collector")
@pytest.mark.parametrize("text", ['{"a": 1}', '{"a": "\\ud800"}', "{"], ids=["plain", "surrogate", "broken"])
@pytest.mark.parametrize("collects", [True, False])
def test_the_garbage_collector_is_left_as_it_was(text: str, collects: bool) -> None:
    """On or off, and also when the text is refused."""
    (gc.enable if collects else gc.disable)()
    try:
        decode("r1", 1, text)
    except JournalError:
        assert text == "{"
    assert gc.isenabled() is collects


@pytest.mark.usefixtures("collector")
def test_threads_that_decode_at_once_leave_the_collector_on() -> None:
    """None takes another's pause for the program's wish."""
    gc.enable()
    # So that they meet at every step.
    sys.setswitchinterval(1e-6)
    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(lambda _: [decode("r1", seq, '{"a": 1}')["a"] for seq in range(10_000)], range(8)))
    assert done == [[1] * 10_000] * 8
    assert gc.isenabled()
