"""Signals: what is counted and timed, for which arm, and how a signal is narrowed to features."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from canary.plan.units import Endpoint, Histogram, Label, Line, Metric, Regex


class Strict(BaseModel):
    """The base of everything in a plan: frozen, no unknown keys, no silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class Signal(Strict):
    """One thing measured: a counter with its bad events, or a histogram of durations."""

    counter: Metric | None = None
    """The counter's metric name. Either this or `histogram`."""
    histogram: Histogram | None = None
    """The histogram's metric name, without _bucket."""
    bad: dict[Label, Regex] = Field(default_factory=dict)
    """Label → anchored regular expression: which of the counter's events are bad, such as {status: "5.."}."""
    of: Metric | None = None
    """When `counter` counts bad events alone: the counter of opportunities, such as page_views_total."""
    where: dict[Label, Regex] = Field(default_factory=dict)
    """Label → anchored regular expression: which series belong to the signal at all."""
    unit: Literal["s", "ms"] = "s"
    """The unit of the histogram's bucket edges."""
    endpoint: Label | None = None
    """The label that names the endpoint; lets a rule be narrowed to features."""
    component: Label | None = None
    """The label that names the UI component; lets a rule be narrowed to features."""

    @model_validator(mode="after")
    def _one_metric(self) -> Self:
        if (self.counter is None) == (self.histogram is None):
            raise ValueError("a signal has exactly one of counter and histogram")
        if self.histogram is not None and (self.bad or self.of):
            raise ValueError("bad and of belong to a counter; a histogram has neither")
        if self.counter is not None and bool(self.bad) == bool(self.of):
            raise ValueError("a counter says what is bad: either bad (labels) or of (it counts bad events of another)")
        if self.counter is not None and self.unit != "s":
            raise ValueError("unit belongs to a histogram; a counter has none")
        return self


class Feature(Strict):
    """One feature of the candidate: the flag that switches it, and where it shows."""

    flag: Label | None = None
    """The flag that switches this feature alone."""
    endpoints: tuple[Endpoint, ...] = ()
    """The paths that serve it."""
    components: tuple[Line, ...] = ()
    """The UI components that show it, as the signal's component label names them."""


class Arms(Strict):
    """Label → exact value: what tells the candidate's series from the stable version's."""

    canary: dict[Label, str] = Field(min_length=1)
    """The candidate's series. {candidate} and {stable} stand for the version strings."""
    baseline: dict[Label, str] = Field(min_length=1)
    """The stable version's series."""

    def resolve(self, candidate: str, stable: str) -> Arms:
        """These arms with both placeholders filled."""
        versions = {"{candidate}": candidate, "{stable}": stable}

        def filled(labels: dict[str, str]) -> dict[str, str]:
            pattern = re.compile("|".join(map(re.escape, versions)))
            return {label: pattern.sub(lambda m: versions[m[0]], value) for label, value in labels.items()}

        return Arms(canary=filled(self.canary), baseline=filled(self.baseline))


def narrow(signal: Signal, features: Sequence[Feature]) -> Signal:
    """The signal for these features alone: by endpoint if it names endpoints, else by UI component.

    Raises ValueError when the signal names neither, or the features have none of the kind.
    """
    label = signal.endpoint or signal.component
    if label is None:
        raise ValueError("its signal has neither an endpoint nor a component label, so it cannot be narrowed")
    found = [v for f in features for v in (f.endpoints if signal.endpoint else f.components)]
    if not found:
        what = "endpoints" if signal.endpoint else "components"
        raise ValueError(f"the features named by 'on' have no {what}, so it would measure nothing")
    if label in signal.where:
        raise ValueError(f"its signal is narrowed on label {label} already (where); it cannot be narrowed twice")
    values = "|".join(re.escape(value) for value in dict.fromkeys(found))
    return signal.model_copy(update={"where": {**signal.where, label: values}})
