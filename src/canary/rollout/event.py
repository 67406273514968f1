"""What every line of a journal has in common, and how a line is read. `canary.rollout.events` has the shapes."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from pydantic import ValidationError

from canary.errors import JournalError
from canary.ports import Entry, NewEntry
from canary.rollout.parts import Part

TYPES: dict[str, type[Event]] = {}


class Event(Part):
    """The base of every line. The journal's `type` is the class name in snake case."""

    type: ClassVar[str] = ""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        cls.type = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        TYPES[cls.type] = cls

    def entry(self, at: float) -> NewEntry:
        return NewEntry(at, self.type, self.model_dump(mode="json"))


def parse(entry: Entry) -> Event:
    """The event of a journal's line. Raises JournalError for a line that this version does not understand."""
    try:
        return TYPES[entry.type].model_validate(entry.data)
    except (KeyError, ValidationError) as error:
        raise not_understood(entry) from error


def not_understood(entry: Entry) -> JournalError:
    """The error of a line that another version wrote, or that something else has changed."""
    return JournalError(
        f"line {entry.seq} of {entry.rollout} ({entry.type}) is not understood by this version",
        "use the version of prefect-canary that wrote it, or a newer one",
    )
