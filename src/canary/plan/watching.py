"""What is watched and reported, beside what is judged: key metrics, alerts, KPIs, and sources that are no metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from canary.plan.must import MustText
from canary.plan.rules import Trigger
from canary.plan.signals import Strict
from canary.plan.units import Line, Name

Severity = Literal["critical", "warning", "info"]
Shows = Literal["share", "per_hour", "p50", "p95", "last"]


def _source_url(value: str) -> str:
    # A query may hold a key, and a plan is stored and shown in clear.
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#@]*)?", value):
        raise ValueError("must be an http:// or https:// address without user, query and fragment")
    return value


class KeyMetric(Strict):
    """One line of the review's tables."""

    name: Line
    signal: Name
    of: Name | None = None
    """Gauges: the gauge of all, of which `signal` is a part; shows: share."""
    shows: Shows
    """share: bad of all; per_hour: events; p50, p95: of a histogram; last: a gauge's newest value."""


class Alerts(Strict):
    """What is told when it fires, by severity: by each look of the watch, and by the review. Written as triggers are.

    After full exposure a critical one wakes somebody, the others are told in the rollout's thread. None rolls back.
    """

    critical: tuple[Trigger, ...] = ()
    warning: tuple[Trigger, ...] = ()
    info: tuple[Trigger, ...] = ()

    def each(self) -> Iterator[tuple[Severity, Trigger]]:
        """Every alert with its severity, the gravest first."""
        rules: dict[Severity, tuple[Trigger, ...]] = {
            "critical": self.critical,
            "warning": self.warning,
            "info": self.info,
        }
        return ((severity, rule) for severity, listed in rules.items() for rule in listed)


class Kpi(Strict):
    """One measure of success: exactly one of rollout, no_alert, signal and source says what is looked at."""

    name: Line
    rollout: Literal["promoted"] | None = None
    """promoted: every phase passed by its evidence, and everybody got the candidate."""
    no_alert: Severity | None = None
    """Not one alert of this severity fires between full exposure and the review."""
    signal: Name | None = None
    of: Name | None = None
    """Gauges: the gauge of all, of which `signal` is a part."""
    source: Name | None = None
    """The mean of this source's numbers."""
    must: MustText | None = None
    """What the signal or source must be."""
    at_review: int = Field(default=1, ge=1)
    """The review that decides it: 1 is the first of review.after. Earlier ones say NOT YET."""

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        things = (self.rollout, self.no_alert, self.signal, self.source)
        if sum(thing is not None for thing in things) != 1:
            raise ValueError("a KPI looks at exactly one of rollout, no_alert, signal and source")
        if (self.must is None) == (self.signal is not None or self.source is not None):
            raise ValueError("must belongs to a KPI of a signal or a source, and these need it")
        if self.of is not None and self.signal is None:
            raise ValueError("of belongs to a KPI of a signal")
        return self


class Source(Strict):
    """Numbers or texts that no metric has, such as a survey's scores. {} says that no source is configured yet."""

    csv: Line | None = None
    """A CSV file with a header line, relative to CANARY_HOME of the machine that reviews."""
    url: Annotated[str, AfterValidator(_source_url)] | None = None
    """An address that answers JSON."""
    field: Line | None = None
    """The CSV's column, or the path to the value in the JSON: data.score; lists on the way are all followed."""
    values: Literal["number", "text"] = "number"
    """number: their mean is reported; text: how often each was said."""
    when: Line | None = None
    """CSV only: the column with an ISO 8601 time and zone; rows from before full exposure do not count."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.csv is not None and self.url is not None:
            raise ValueError("a source is either a csv or a url")
        if self.configured == (self.field is None):
            raise ValueError("field belongs to a source with a csv or a url, and these need it")
        if self.when is not None and self.csv is None:
            raise ValueError("when belongs to a source with a csv")
        return self

    @property
    def configured(self) -> bool:
        """Whether there is anything to read."""
        return self.csv is not None or self.url is not None
