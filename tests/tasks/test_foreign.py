"""What a failed task tells: our own errors as they are, and of other libraries' errors nothing that they say."""

from __future__ import annotations

import asyncio
import traceback

import pytest

from canary.errors import LeaseLost, ProviderError
from canary.tasks.foreign import Unforeseen, kind_and_place, own_words

SECRET = "s3cret-header"


async def _careless(first: BaseException, cause: BaseException | None = None) -> None:
    raise first from cause


@pytest.mark.parametrize(
    "error", [RuntimeError(SECRET), KeyError(SECRET), OSError(5, SECRET), ExceptionGroup(SECRET, [ValueError(SECRET)])]
)
async def test_a_foreign_error_tells_its_kind_and_place(error: Exception) -> None:
    """As Prefect logs it, with all that is behind it: the kind and where it came from, and not a word of its own."""
    with pytest.raises(Unforeseen) as raised:
        await own_words(_careless)(error, ProviderError(SECRET))
    logged = "".join(traceback.format_exception(raised.value))
    assert SECRET not in logged
    assert raised.value.__context__ is None
    kind = "ValueError" if isinstance(error, ExceptionGroup) else type(error).__name__
    assert kind in raised.value.what


async def test_the_place_is_the_innermost() -> None:
    """Whoever repairs the program finds the line."""
    with pytest.raises(Unforeseen, match=r"RuntimeError in run \(foreign.py:\d+\), _careless \(test_foreign.py:\d+\)"):
        await own_words(_careless)(RuntimeError(SECRET))


@pytest.mark.parametrize("error", [LeaseLost("the lock moved on"), ProviderError("refused"), asyncio.CancelledError()])
async def test_our_own_errors_pass(error: BaseException) -> None:
    """Who decides by the kind of an error still can; and a cancelled task is cancelled."""
    with pytest.raises(type(error)) as raised:
        await own_words(_careless)(error)
    assert raised.value is error


async def test_an_answer_passes() -> None:
    """The work is done with what it was given, and keeps its name."""

    async def add(one: int, two: int) -> int:
        return one + two

    assert await own_words(add)(1, two=2) == 3
    assert own_words(add).__name__ == "add"


def test_an_error_without_a_place() -> None:
    """One that was never raised has only its kind."""
    assert kind_and_place(KeyError(SECRET)) == "KeyError"
