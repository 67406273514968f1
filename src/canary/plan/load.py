"""Loading: from YAML files to a checked plan and its canonical JSON, or to everything wrong with them."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path as File
from typing import Any

from canary.errors import PlanError
from canary.plan.checks import check
from canary.plan.model import Plan
from canary.plan.overlay import merge, overlay_problems
from canary.plan.problems import Path, Problem, canonical, shaped
from canary.plan.source import Source, raise_all, read


@dataclass(frozen=True, slots=True)
class LoadedPlan:
    """A plan that passed every check. body: the resolved document, canonical JSON; hash: its sha256, hex."""

    plan: Plan
    body: str
    hash: str


def load_plan(path: File, overlays: Sequence[File] = ()) -> LoadedPlan:
    """The plan of a file; for an overlay's file, the plan it names under it. `overlays` are laid over that.

    Raises PlanError with every problem found, each with file, line and column.
    """
    base, layers = _layers(File(path), [File(overlay) for overlay in overlays])
    problems = [problem for source in (base, *layers) for problem in source.problems]
    wrong = [problem for layer in layers for problem in overlay_problems(layer, base)]
    merged = base
    for layer in () if wrong else layers:
        merged = merge(merged, layer)
    body = canonical(merged.data)
    plan, found = _checked(merged.data, body)
    raise_all([*problems, *wrong, *merged.located(found)])
    assert plan is not None
    return LoadedPlan(plan, body, hashlib.sha256(body.encode()).hexdigest())


def parse_plan(body: str) -> Plan:
    """The plan of a stored body. Raises PlanError.

    Only its shape is checked again: a running rollout must not be stranded by a check that came later.
    """
    plan, problems = shaped(Plan, body)
    if plan is None:
        raise PlanError([f"stored plan: {problem}" for problem in problems])
    return plan


def _layers(path: File, overlays: list[File]) -> tuple[Source, list[Source]]:
    first = read(path)
    if "overlay" not in first.data:
        return first, [_overlay_of(path, file) for file in overlays]
    base_path = _base_path(path, first)
    base = read(base_path)
    if "overlay" in base.data:
        raise_all([(first.place(("overlay",)), f"overlay: {base_path} is an overlay itself; name the plan")])
    return base, [first, *(_overlay_of(base_path, file) for file in overlays)]


def _overlay_of(base: File, file: File) -> Source:
    source = read(file)
    if "overlay" not in source.data:
        raise_all([(source.place(()), f"this is no overlay; an overlay begins with overlay: {base.name}")])
    if _base_path(file, source).resolve() != base.resolve():
        raise_all([(source.place(("overlay",)), f"overlay: this is an overlay of another plan than {base}")])
    return source


def _base_path(file: File, source: Source) -> File:
    """The plan that an overlay names. Raises PlanError when there is no such file."""
    named, place = source.data["overlay"], source.place(("overlay",))
    if not isinstance(named, str) or not named:
        raise_all([(place, "overlay: must be the file name of the plan, relative to this file")])
    base = file.parent / str(named)
    if not base.is_file():
        beside = sorted(f.name for f in file.parent.glob("*.y*ml") if f.name != file.name)
        raise_all([(place, f"overlay: there is no plan {base}; files beside the overlay: {', '.join(beside)}")])
    return base


def _checked(data: dict[str, Any], body: str) -> tuple[Plan | None, list[Problem]]:
    """The plan and its problems. Unknown keys hide nothing else that is wrong; other wrong shapes do."""
    plan, problems = shaped(Plan, body)
    if plan is not None:
        return plan, check(plan)
    if not all(problem.at_key and problem.what.startswith("unknown key") for problem in problems):
        return None, problems
    rest, _ = shaped(Plan, canonical(_without(data, [problem.path for problem in problems])))
    return None, problems + [p for p in (check(rest) if rest else []) if not _explained_by(p, problems)]


def _without(data: dict[str, Any], paths: Sequence[Path]) -> dict[str, Any]:
    pruned = copy.deepcopy(data)
    for path in paths:
        parent: Any = pruned
        for part in path[:-1]:
            parent = parent[part]
        parent.pop(path[-1])
    return pruned


def _explained_by(problem: Problem, unknown: Sequence[Problem]) -> bool:
    """Whether an unknown key stands at or under the problem's path: it may be what is missed."""
    return any(other.path[: len(problem.path)] == problem.path for other in unknown)
