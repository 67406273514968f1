"""Overlays: other blocks under the same plan, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from canary.errors import PlanError
from canary.plan.load import load_plan
from canary.plan.words import features_in_words

Write = Callable[[dict[str, Any]], Path]
Lay = Callable[..., Path]


@pytest.fixture
def lay(plan_file: Write, tmp_path: Path) -> Lay:
    """A maker of overlay files beside the sound plan."""

    def write(said: dict[str, Any], edits: dict[str, Any] | None = None, name: str = "over.yaml") -> Path:
        plan_file(edits or {})
        file = tmp_path / name
        file.write_text(
            "\n".join(f"{key}: {json.dumps(value)}" for key, value in {"overlay": "plan.yaml", **said}.items())
        )
        return file

    return write


def problems(file: Path, *overlays: Path) -> tuple[str, ...]:
    """What is wrong with a file and its overlays."""
    with pytest.raises(PlanError) as caught:
        load_plan(file, overlays)
    return caught.value.problems


def test_an_overlay_says_which_flags_a_target_brings(lay: Lay) -> None:
    """Then a feature whose flag is among them can be switched off by itself; a target without flags takes none."""
    plain = load_plan(lay({"targets": {"flags": {"use": "flags/shop"}}})).plan
    assert plain.switch_of("cart") is None
    bound = {"use": "flags/shop", "set": {"spring": True, "CART": True}}
    laid = load_plan(lay({"targets": {"flags": bound}})).plan
    assert laid.switch_of("cart") == "flags"
    assert laid.switch_of("search") is None
    assert laid.targets["flags"].read_by == ("api",)
    (said,) = problems(lay({"targets": {"api": {"use": "envoy/shop-api", "set": {"CART": True}}}}))
    assert "set belongs to flag targets" in said


def test_what_tells_features_apart_is_measured_where_one_can_go_alone(lay: Lay) -> None:
    """Each counted signal of the canary's rules for that feature; nothing more before there are users, or no flag."""
    staging, canary, full = load_plan(lay({})).plan.phases
    bound = {"use": "flags/shop", "set": {"spring": True, "CART": True}}
    plan = load_plan(lay({"targets": {"flags": bound}})).plan
    assert plan.judged(canary) == ("errors", "latency", "errors on features", "errors on cart")
    assert plan.judged(staging) == plan.judged(full) == ("errors",)
    assert "errors on cart" not in load_plan(lay({})).plan.judged(canary)
    assert "cart: switched off alone" in features_in_words(plan)
    assert "search: no target's set holds its flag" in features_in_words(plan)


def test_an_overlay_binds_blocks_and_sets_the_pace(lay: Lay) -> None:
    """What it says replaces what the plan says; the target keeps everything but its block."""
    said = {
        "targets": {"flags": {"use": "global-config/shop"}},
        "metrics": "prometheus/shop",
        "notify": {"page": ["slack/night"]},
        "time_scale": 60,
        "grant_approvals": True,
        "without": ["home"],
        "review": {"after": ["15s", "30s"]},
    }
    plan = load_plan(lay(said)).plan
    assert plan.targets["flags"].use == "global-config/shop"
    assert plan.targets["flags"].read_by == ("api",)
    assert (plan.targets["api"].use, plan.metrics) == ("envoy/shop-api", "prometheus/shop")
    assert (plan.notify.updates, plan.notify.page) == ((), ("slack/night",))
    assert (plan.time_scale, plan.grant_approvals, plan.without) == (60.0, True, ("home",))
    assert plan.review.after == (15.0, 30.0)


def test_an_overlay_that_says_nothing_changes_nothing(lay: Lay, plan_file: Write) -> None:
    """The key `overlay` is not part of the plan: the hash stays."""
    over = lay({})
    assert load_plan(over).hash == load_plan(plan_file({})).hash


def test_further_overlays_of_the_same_plan_lie_on_top(lay: Lay) -> None:
    """The last one that says something wins."""
    first = lay({"time_scale": 60, "metrics": "prometheus/shop"})
    second = lay({"time_scale": 10}, name="second.yaml")
    for loaded in (load_plan(first, [second]), load_plan(first.with_name("plan.yaml"), [first, second])):
        assert (loaded.plan.time_scale, loaded.plan.metrics) == (10.0, "prometheus/shop")


@pytest.mark.parametrize(
    "said",
    [
        {"phases": []},
        {"rollback": {"within": "1h"}},
        {"targets": {"api": {"use": "envoy/x", "artifact": "{version}"}}},
        {"targets": {"flags": {"use": "flags/x", "read_by": []}}},
        {"review": {"after": ["1s"], "of": "x"}},
        {"traffic": "errors"},
    ],
)
def test_an_overlay_cannot_touch_what_the_plan_demands(lay: Lay, said: dict[str, Any]) -> None:
    """It would be another plan under the same name."""
    (problem,) = problems(lay(said))
    assert "over.yaml:2:" in problem
    assert "an overlay only binds blocks and cannot set this; valid values: " in problem


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            {"targets": {"apis": {"use": "envoy/x"}}},
            "targets.apis: the plan has no such target; valid values: api, flags; did you mean 'api'?",
        ),
        (
            {"without": ["hom"]},
            "without[0]: there is no check 'hom'; valid values: home, numbers; did you mean 'home'?",
        ),
        ({"time_scale": 0}, "time_scale: input should be greater than 0"),
        ({"time_scale": "fast"}, "time_scale: must be a number"),
        ({"grant_approvals": False}, "grant_approvals: unknown value; valid values: True"),
        ({"metrics": "envoy/shop"}, "metrics: kind envoy is a target block, not a metrics block"),
        ({"notify": {"updates": ["terminal/x"]}}, "notify: the required key 'page' is missing"),
        ({"review": {"after": ["30s", "15s"]}}, "review.after: the times must rise"),
    ],
)
def test_what_is_wrong_in_an_overlay_is_told_with_its_own_file(lay: Lay, said: dict[str, Any], words: str) -> None:
    """Also what only the merged plan shows."""
    (problem,) = problems(lay(said))
    place, _, what = problem.partition(": ")
    assert place.rpartition("/")[2].startswith("over.yaml:2:")
    assert what.startswith(words)


def test_what_is_wrong_in_the_plan_is_told_with_the_plans_file(lay: Lay) -> None:
    """Together with what is wrong in the overlay."""
    over = lay({"phases": []}, {"phases.1.exposure": "10"})
    assert [problem.rpartition("/")[2].split(":")[0] for problem in problems(over)] == ["over.yaml", "plan.yaml"]


def test_a_broken_plan_under_a_sound_overlay_is_told_as_it_is(lay: Lay) -> None:
    """Binding a block must not paper over a target or a review that is no mapping."""
    said = {"targets": {"api": {"use": "envoy/x"}}, "review": {"after": ["15s"]}}
    found = problems(lay(said, {"targets.api": "envoy/shop", "review": "24h"}))
    assert [problem.split(": ", 1)[1] for problem in found] == [
        "targets.api: must be a mapping (key: value)",
        "review: must be a mapping (key: value)",
    ]


def test_an_overlay_of_a_missing_plan_lists_the_files_that_are_there(lay: Lay) -> None:
    """The name is read relative to the overlay's own folder."""
    (problem,) = problems(lay({"overlay": "plam.yaml"}))
    assert "over.yaml:1:10: overlay: there is no plan" in problem
    assert "plan.yaml" in problem


def test_an_overlay_of_an_overlay_is_refused(lay: Lay) -> None:
    """One plan, one layer under it: nobody has to follow a chain."""
    lay({})
    (problem,) = problems(lay({"overlay": "over.yaml"}, name="second.yaml"))
    assert "is an overlay itself" in problem


def test_an_overlay_of_another_plan_is_refused(lay: Lay, tmp_path: Path) -> None:
    """And so is a plan in the place of an overlay."""
    over = lay({})
    other = tmp_path / "other.yaml"
    other.write_text((tmp_path / "plan.yaml").read_text())
    assert "an overlay of another plan" in problems(other, over)[0]
    assert "this is no overlay" in problems(tmp_path / "plan.yaml", other)[0]


@pytest.mark.parametrize("named", [5, "", ["plan.yaml"]])
def test_an_overlay_must_name_its_plan(lay: Lay, named: object) -> None:
    """The name is a file name."""
    (problem,) = problems(lay({"overlay": named}))
    assert "overlay: must be the file name of the plan" in problem
