"""An entry's data as JSON text: what goes into a store, and what comes back from it."""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any

from pydantic_core import from_json

from canary.errors import JournalError
from canary.ports import NewEntry


def _plain(value: object) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} is not JSON")


# ASCII only, so that no store has to know how to write a lone surrogate.
_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=_plain).encode


# Else a thread could take another's silence for the program's wish, and leave the collector off.
_one_at_a_time = Lock()


def encode(entry: NewEntry) -> str:
    """The data as compact ASCII JSON.

    Raises JournalError for what JSON cannot hold: NaN, an infinity, a type of our own. It names no value.
    """
    if not math.isfinite(entry.at):
        raise _refused(entry, "its time is not a finite number of seconds")
    try:
        return _encode(dict(entry.data))
    except TypeError as error:
        raise _refused(entry, str(error)) from None
    except (ValueError, RecursionError):
        raise _refused(entry, "it holds NaN, an infinity or itself") from None


def decode(rollout: str, seq: int, text: str) -> dict[str, Any]:
    """The data of one stored entry. Raises JournalError when the text is not a JSON object."""
    try:
        data = _parsed(text)
    except ValueError:
        data = None
    if isinstance(data, dict):
        return data
    raise _damaged(f"entry {seq} of rollout {rollout} is not a JSON object")


def hole(rollout: str, seq: int) -> JournalError:
    """The error of a journal in which an entry is missing before others."""
    return _damaged(f"entry {seq} of rollout {rollout} is missing")


def _damaged(what: str) -> JournalError:
    return JournalError(
        f"{what}: the journal was changed by something else", "restore the journal's database from a backup"
    )


def _parsed(text: str) -> Any:
    with _uncollected():
        try:
            return from_json(text, allow_inf_nan=False)
        except ValueError:
            # It is fast and knows no lone surrogates, which a journal may hold.
            return json.loads(text)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Nobody looks for cycles in what a parser makes: it makes none, and a block's thousands of lists would have all
    objects of the program gone through again and again, which takes several times as long as the parsing."""
    with _one_at_a_time:
        collects = gc.isenabled()
        gc.disable()
        try:
            yield
        finally:
            if collects:
                gc.enable()


def _refused(entry: NewEntry, why: str) -> JournalError:
    return JournalError(
        f"an entry of type {entry.type} cannot be journaled: {why}",
        "give its data as numbers, strings, booleans, lists and mappings",
    )
