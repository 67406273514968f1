"""Targets: that each can be rolled back and observed, and that together they keep to the exposure."""

from __future__ import annotations

from collections.abc import Iterator

from canary.plan.kinds import KINDS, Kind, kind_of
from canary.plan.model import Plan, TargetSpec
from canary.plan.problems import Problem, choice
from canary.plan.units import percent


def targets(plan: Plan) -> Iterator[Problem]:
    """Everything about single targets, and about targets that split users independently."""
    for name, spec in plan.targets.items():
        kind = KINDS.get(kind_of(spec.use))
        if kind is not None and kind.role == "target":
            yield from _safe(name, spec, kind)
            yield from _boolean(plan, name, spec) if kind.share == "boolean" else _split(name, spec)
    yield from _mixed(plan)


def _safe(name: str, spec: TargetSpec, kind: Kind) -> Iterator[Problem]:
    use = ("targets", name, "use")
    if kind.share is None:
        yield Problem(use, f"kind {kind_of(spec.use)} cannot be set back to 0%, so it cannot be rolled back")
    if not kind.observes:
        yield Problem(use, f"kind {kind_of(spec.use)} cannot be observed, so a rollback could not be verified")
    if kind.artifact and spec.artifact.count("{version}") != 1:
        what = f"{spec.artifact!r} must hold {{version}} once, or every release would be the same"
        yield Problem(("targets", name, "artifact"), what)


def _split(name: str, spec: TargetSpec) -> Iterator[Problem]:
    for key, given in (("set", spec.set), ("read_by", spec.read_by)):
        if given:
            what = f"{key} belongs to flag targets; kind {kind_of(spec.use)} splits users itself"
            yield Problem(("targets", name, key), what, at_key=True)


def _boolean(plan: Plan, name: str, spec: TargetSpec) -> Iterator[Problem]:
    if not spec.set:
        yield Problem(("targets", name), "a flag target needs set: the values that the candidate brings")
    splitting = splitters(plan)
    for index, reader in enumerate(spec.read_by):
        if reader not in splitting:
            what = f"{reader!r} is no target that splits users; {choice(reader, splitting)}"
            yield Problem(("targets", name, "read_by", index), what)
    partial = [phase for phase in plan.phases if 0 < phase.exposure < 1]
    if partial and not spec.read_by:
        what = (
            f"a flag is on for everybody at any exposure above 0%, and phase {partial[0].name} asks for "
            f"{percent(partial[0].exposure)}; name the targets that alone read it: read_by: "
            f"[{', '.join(splitting) or 'a target that splits users'}]"
        )
        yield Problem(("targets", name), what)


def _mixed(plan: Plan) -> Iterator[Problem]:
    splitting = splitters(plan)
    if len(splitting) > 1 and plan.mixed_versions is None and any(0 < p.exposure < 1 for p in plan.phases):
        what = (
            f"{' and '.join(splitting)} split users independently: most users of the new version of one meet "
            "the old version of another. If they work together, say so at the top: mixed_versions: ok"
        )
        yield Problem(("targets",), what, at_key=True)


def splitters(plan: Plan) -> list[str]:
    """The targets that split users; those of unknown kind count, to say nothing wrong about others."""
    kinds = {name: KINDS.get(kind_of(spec.use)) for name, spec in plan.targets.items()}
    return [name for name, kind in kinds.items() if kind is None or kind.share != "boolean"]
