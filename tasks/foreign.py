"""Errors of other libraries, told by their kind and place: their own words can quote a header, a URL or an answer.

Prefect logs the traceback of a failed task, and stores its last words as the state's message.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from canary.errors import CanaryError

P = ParamSpec("P")
R = TypeVar("R")
PLACES = 6
"""The innermost places of a traceback that are told."""


class Unforeseen(CanaryError):
    """The program itself failed: the kind of the error, and where it came from, innermost last. Nothing it said."""


def own_words(work: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """The task's work, raising our own errors as they are, and Unforeseen in place of any other."""

    @functools.wraps(work)
    async def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await work(*args, **kwargs)
        except CanaryError:
            raise
        except Exception as error:
            failure = unforeseen(error)
        # Outside of the handler: raised inside, it would have what it hides as its context.
        raise failure

    return run


def unforeseen(error: Exception) -> Unforeseen:
    """What is told in the error's place."""
    return Unforeseen(kind_and_place(error), "this is a fault of the program: report it with these places")


def kind_and_place(error: BaseException) -> str:
    """Such as "KeyError in run (conductor.py:88), _one (checks.py:70)"; of a group, its first error's."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frames = traceback.extract_tb(error.__traceback__)[-PLACES:]
    places = ", ".join(f"{frame.name} ({Path(frame.filename).name}:{frame.lineno})" for frame in frames)
    return f"{type(error).__name__} in {places}" if places else type(error).__name__
