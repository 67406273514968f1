"""Signals: what is counted and timed, for which arm, and how a signal is narrowed to features."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from canary.plan.units import Endpoint, Histogram, Label, Line, Metric, Regex, Seconds


class Strict(BaseModel):
    """The base of everything in a plan: frozen, no unknown keys, no silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


Measurable = Literal["rate", "frequency", "times", "ratios", "gauge"]
"""What a signal is: only a rate (bad of all) and quantiles of times or ratios can be judged by a rule."""


class Signal(Strict):
    """One thing measured: a counter, a histogram of times or ratios, or a gauge."""

    counter: Metric | None = None
    """The counter's metric name. Exactly one of this, `histogram` and `gauge`."""
    histogram: Histogram | None = None
    """The histogram's metric name, without _bucket."""
    gauge: Metric | None = None
    """The metric name of a value that is never negative, such as memory, or a p95 that somebody else computes."""
    window: Seconds | None = None
    """Of a gauge: the time that one value sums up. It may then be compared with the baseline, and nothing else."""
    bad: dict[Label, Regex] = Field(default_factory=dict)
    """Label → anchored regular expression: which of the counter's events are bad, such as {status: "5.."}."""
    of: Metric | None = None
    """When `counter` counts bad events alone: the counter of opportunities, such as page_views_total."""
    where: dict[Label, Regex] = Field(default_factory=dict)
    """Label → anchored regular expression: which series belong to the signal at all."""
    unit: Literal["s", "ms", "ratio"] = "s"
    """The unit of the histogram's bucket edges; ratio: 0–1, such as a confidence."""
    endpoint: Label | None = None
    """The label that names the endpoint; lets a rule be narrowed to features."""
    component: Label | None = None
    """The label that names the UI component; lets a rule be narrowed to features."""

    @model_validator(mode="after")
    def _one_metric(self) -> Self:
        if sum(name is not None for name in (self.counter, self.histogram, self.gauge)) != 1:
            raise ValueError("a signal has exactly one of counter, histogram and gauge")
        if self.counter is None and (self.bad or self.of):
            raise ValueError("bad and of belong to a counter; a histogram and a gauge have neither")
        if self.bad and self.of:
            raise ValueError("a counter says what is bad: either bad (labels) or of (it counts bad events of another)")
        if self.gauge is None and self.window is not None:
            raise ValueError("window belongs to a gauge; counters and histograms are judged by what they count")
        if self.histogram is None and self.unit != "s":
            raise ValueError("unit belongs to a histogram; a counter and a gauge have none")
        return self

    @property
    def is_a(self) -> Measurable:
        """What can be said of it; a counter that does not say what is bad is a mere frequency."""
        if self.counter:
            return "rate" if self.bad or self.of else "frequency"
        if self.gauge:
            return "gauge"
        return "ratios" if self.unit == "ratio" else "times"


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


def can_narrow(signal: Signal, feature: Feature) -> bool:
    """Whether `narrow` can."""
    label, shown = (signal.endpoint, feature.endpoints) if signal.endpoint else (signal.component, feature.components)
    return bool(label and shown and label not in signal.where)


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
