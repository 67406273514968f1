"""Overlays: the same plan on other blocks. `overlay: phase1.yaml` names the plan, relative to the file.

An overlay may bind targets, metrics, dashboards, notifiers and sources, set `time_scale`, `review.after` and the
watch's pace, grant approvals, and list checks to go `without`. It cannot touch what the plan demands: phases, signals,
rules.
"""

from __future__ import annotations

import copy
from typing import Any, Literal

from pydantic import Field

from canary.plan.model import Notify
from canary.plan.problems import Path, Problem, canonical, choice, shaped
from canary.plan.signals import Strict
from canary.plan.source import Place, Source
from canary.plan.units import Boards, Label, Line, Name, Ref, Seconds
from canary.plan.watching import Source as Answers


class Binding(Strict):
    """A target on another block."""

    use: Ref
    set: dict[Label, bool] | None = None
    """Flags: the values that the candidate brings there."""


class ReviewAfter(Strict):
    """The reports after the rollout."""

    after: tuple[Seconds, ...]
    """Real seconds after full exposure, rising, whatever the time scale."""


class AnnounceTo(Strict):
    """Who hears of it."""

    to: tuple[Ref, ...]
    """Notifiers, beside those for updates."""


class WatchPace(Strict):
    """Looking on after full exposure, in real seconds."""

    lasts: Seconds = Field(alias="for")
    """How long."""
    every: Seconds
    """How often what happened since is judged."""


class Overlay(Strict):
    """What an overlay may say."""

    overlay: str
    """The plan's file, relative to this one."""
    targets: dict[Name, Binding] = Field(default_factory=dict)
    metrics: Ref | None = None
    dashboards: Boards | None = None
    """A block that keeps them, or files."""
    notify: Notify | None = None
    time_scale: float | None = Field(default=None, gt=0, le=1000, allow_inf_nan=False)
    """Plan seconds per real second."""
    grant_approvals: Literal[True] | None = None
    """Approvals are granted by the plan itself."""
    without: tuple[Line, ...] | None = None
    """Names of checks that are skipped, and shown as skipped."""
    review: ReviewAfter | None = None
    announce: AnnounceTo | None = None
    watch: WatchPace | None = None
    sources: dict[Name, Answers] = Field(default_factory=dict)
    """Each replaces the plan's source of that name."""


def overlay_problems(overlay: Source, base: Source) -> list[tuple[Place, str]]:
    """What is wrong with an overlay, by itself and as one of that plan."""
    found, problems = shaped(Overlay, canonical(overlay.data))
    if found is not None:
        for section, one, bound in (("targets", "target", found.targets), ("sources", "source", found.sources)):
            if isinstance(known := base.data.get(section, {}), dict):
                problems += [
                    Problem((section, name), f"the plan has no such {one}; {choice(name, known)}", at_key=True)
                    for name in bound
                    if name not in known
                ]
    return overlay.located(_explained(problem) for problem in problems)


def _explained(problem: Problem) -> Problem:
    if not problem.what.startswith("unknown key"):
        return problem
    what = problem.what.replace("unknown key", "an overlay only binds blocks and cannot set this", 1)
    return Problem(problem.path, what, problem.at_key)


_PARTLY = ("review", "announce", "watch")
"""Keys of which an overlay replaces what it names, and leaves the rest to the plan."""


def merge(base: Source, overlay: Source) -> Source:
    """The plan with an overlay that has no problems laid over it. Every value keeps its own place."""
    merged = Source(copy.deepcopy(base.data), dict(base.values), dict(base.keys))
    for path in _laid(overlay.data):
        _put(merged.data, path, _get(overlay.data, path))
        _move(merged, overlay, path)
    return merged


def _laid(data: dict[str, Any]) -> list[Path]:
    """The paths at which an overlay replaces the plan's value."""
    whole: list[Path] = [(key,) for key in data if key not in ("overlay", "targets", "sources", *_PARTLY)]
    uses: list[Path] = [("targets", name, key) for name, bound in data.get("targets", {}).items() for key in bound]
    sources: list[Path] = [("sources", name) for name in data.get("sources", {})]
    partly: list[Path] = [(key, part) for key in _PARTLY for part in data.get(key) or ()]
    return [*whole, *uses, *sources, *partly]


def _get(data: Any, path: Path) -> Any:
    for part in path:
        data = data[part]
    return data


def _put(data: Any, path: Path, value: Any) -> None:
    *parents, last = path
    for part in parents:
        data = data.setdefault(str(part), {})
        if not isinstance(data, dict):
            return
    data[str(last)] = copy.deepcopy(value)


def _move(merged: Source, overlay: Source, path: Path) -> None:
    for mine, theirs in ((merged.values, overlay.values), (merged.keys, overlay.keys)):
        for old in [key for key in mine if key[: len(path)] == path]:
            del mine[old]
        mine.update({key: place for key, place in theirs.items() if key[: len(path)] == path})
    for end in range(1, len(path)):
        merged.values.setdefault(path[:end], overlay.values[path[:end]])
