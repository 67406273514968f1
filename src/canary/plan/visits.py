"""Checks in a browser: which page is opened, what is done on it, and what must be seen then."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Self

from pydantic import Discriminator, Field, Tag, model_validator

from canary.plan.signals import Strict
from canary.plan.units import Line, Name, Ref, Selector, UrlPath


class Click(Strict):
    """Clicks one element."""

    click: Selector
    """CSS selector of the one visible element."""

    @property
    def words(self) -> str:
        """As a person would say it."""
        return f"click {self.click}"


class Tick(Strict):
    """Checks one check box; one that is checked stays so."""

    check: Selector
    """CSS selector of the one visible check box."""

    @property
    def words(self) -> str:
        """As a person would say it."""
        return f"check {self.check}"


class Choose(Strict):
    """Chooses one option of a list."""

    choose: Line
    """The option's value or label."""
    in_: Selector = Field(alias="in")
    """CSS selector of the one visible list."""

    @property
    def words(self) -> str:
        """As a person would say it."""
        return f"choose {self.choose!r} in {self.in_}"


class Fill(Strict):
    """Writes into one field, over what stands there."""

    fill: Line
    """The text."""
    in_: Selector = Field(alias="in")
    """CSS selector of the one visible field."""

    @property
    def words(self) -> str:
        """As a person would say it."""
        return f"fill {self.fill!r} in {self.in_}"


_VERBS = ("click", "check", "choose", "fill")


def _verb(value: Any) -> str | None:
    """The tag of a step; of one with a mistyped verb, that of the verb that was meant."""
    names = value if isinstance(value, dict) else type(value).model_fields if isinstance(value, Strict) else ()
    meant = (close for name in names for close in difflib.get_close_matches(str(name), _VERBS, 1))
    return next((f"<{verb}>" for verb in (*(v for v in _VERBS if v in names), *meant)), None)


Step = Annotated[
    Annotated[Click, Tag("<click>")]
    | Annotated[Tick, Tag("<check>")]
    | Annotated[Choose, Tag("<choose>")]
    | Annotated[Fill, Tag("<fill>")],
    Discriminator(
        _verb,
        custom_error_type="no_step",
        custom_error_message="a step has one of click, check, choose (with in) and fill (with in)",
    ),
]


class See(Strict):
    """What must be seen: one visible element, or so many of them."""

    see: Selector
    """CSS selector."""
    count: int | None = Field(default=None, ge=0, le=10_000)
    """How many visible elements match. Left out: exactly one."""
    text: Line | None = None
    """The whole text of the one element, spaces counted once."""

    @model_validator(mode="after")
    def _text_of_one(self) -> Self:
        if self.text is not None and self.count not in (None, 1):
            raise ValueError("text is asked of one element; leave count out, or ask for the text of each by itself")
        return self

    @property
    def words(self) -> str:
        """As a person would say it."""
        many = "" if self.count is None else f"{self.count} × "
        return f"see {many}{self.see}" + (f" with the text {self.text!r}" if self.text is not None else "")


class UiCheck(Strict):
    """Looks once, in a browser, whether a page of the candidate does what it should."""

    name: Line
    open: UrlPath
    """Path and query of the page."""
    do: tuple[Step, ...] = Field(default=(), max_length=20)
    """What is done there, one after the other."""
    expect: tuple[See, ...] = Field(min_length=1, max_length=20)
    """What must all be seen then."""
    bearer: Ref | None = None
    """The token block whose value the browser sends as bearer token, to the candidate alone."""
    target: Name | None = None
    """The target that serves the page. Left out: the first one that is reached by URL, as for get."""
