"""Loading: the shipped plans, hashes, places, and every way in which a file can be no plan."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canary.errors import PlanError
from canary.plan.kinds import kind_of
from canary.plan.load import load_plan, parse_plan

Write = Callable[[dict[str, Any]], Path]


def problems(file: Path) -> tuple[str, ...]:
    """What is wrong with a file."""
    with pytest.raises(PlanError) as caught:
        load_plan(file)
    return caught.value.problems


def test_the_runbook_is_a_sound_plan(plans: Path) -> None:
    """phase1.yaml says what the runbook says: 30 min for nobody, 30 min at 10 %, everybody; back in 5 min."""
    plan = load_plan(plans / "phase1.yaml").plan
    assert [(p.name, p.exposure, p.duration) for p in plan.phases] == [
        ("staging", 0.0, 1800.0),
        ("canary", 0.1, 1800.0),
        ("full", 1.0, None),
    ]
    assert [f"{r.measure} {r.text}" for r in plan.phases[1].criteria] == [
        "api_latency p95 < 200ms",
        "publish_latency p95 < 20ms",
        "http_errors < 1%",
        "js_errors on features none",
    ]
    assert [f"{r.measure} {r.text}" for r in plan.phases[1].triggers] == [
        "http_errors on features any",
        "js_errors on features crash",
        "api_latency > 20% over baseline",
    ]
    assert plan.rollback.within == 300
    assert plan.candidate("api", "2.1.0") == "registry.fly.io/docflow:2.1.0"
    assert plan.candidate("flags", "2.1.0") == '{"phase1_enabled":true}'


def test_the_demo_is_the_runbook_on_parts_of_this_machine(plans: Path) -> None:
    """The overlay changes blocks and pace, and nothing that the plan demands."""
    plan, demo = (load_plan(plans / name).plan for name in ("phase1.yaml", "demo.yaml"))
    assert demo.phases == plan.phases
    assert demo.signals == plan.signals
    assert demo.features == plan.features
    assert {kind_of(ref) for ref in demo.block_refs()} == {"envoy", "flags", "scraper", "terminal", "token"}
    assert (demo.time_scale, demo.grant_approvals, demo.review.after) == (60.0, True, (15.0, 30.0))
    assert demo.candidate("api", "2.1.0") == "2.1.0"
    assert demo.targets["flags"].read_by == ("web", "api")


def test_a_stored_body_gives_the_same_plan_and_hash(plans: Path) -> None:
    """Resuming reads the journaled body: it must be the plan that was started."""
    for name in ("phase1.yaml", "demo.yaml"):
        loaded = load_plan(plans / name)
        assert parse_plan(loaded.body) == loaded.plan
        assert loaded.hash == hashlib.sha256(loaded.body.encode()).hexdigest()


def test_comments_and_layout_do_not_change_the_hash(plan_file: Write) -> None:
    """The hash is of what the plan says; the order of targets is part of that."""
    file = plan_file({})
    first = load_plan(file)
    file.write_text("# a comment\n" + json.dumps(json.loads(file.read_text())))
    assert load_plan(file).hash == first.hash
    targets = json.loads(first.body)["targets"]
    reordered = load_plan(plan_file({"targets": dict(reversed(targets.items()))}))
    assert list(reordered.plan.targets) == ["flags", "api"]
    assert reordered.hash != first.hash


def test_anchors_and_yaml_1_2_words_are_read_as_written(plan_file: Write) -> None:
    """`on`, `no` and 010 are texts, and an alias is what its anchor is."""
    text = plan_file({}).read_text()
    text = text.replace('"Olga Owner"', "no").replace('"errors": "any",', '"errors": any,')
    text = text.replace('"version": "{stable}"', '"version": 010').replace('"10m"', "&ten 10m").replace('"1h"', "*ten")
    file = plan_file({})
    file.write_text(text)
    plan = load_plan(file).plan
    assert plan.roles["owner"].name == "no"
    assert plan.arms.baseline == {"version": "010"}
    assert plan.phases[1].approval is not None
    assert plan.phases[1].approval.within == 600


def test_yaml_1_1_words_stay_words_even_when_the_file_asks_for_1_1(plan_file: Write) -> None:
    """`true` and `false` are booleans, `yes` and `off` never."""
    file = plan_file({"targets.flags.set": {"spring": False}})
    text = file.read_text().replace('"Olga Owner"', "off")
    file.write_text(f"%YAML 1.1\n---\n{text}")
    plan = load_plan(file).plan
    assert plan.roles["owner"].name == "off"
    assert plan.targets["flags"].set == {"spring": False}


def test_a_number_where_text_belongs_is_not_converted(plan_file: Write) -> None:
    """The version 1.10 must not become 1.1."""
    (problem,) = problems(plan_file({"arms.baseline.version": 1.10}))
    assert "arms.baseline.version: must be a text; write a number or true/false in quotes" in problem


def test_all_problems_are_told_at_once_in_the_order_of_the_file(plan_file: Write) -> None:
    """Shapes: each with its file, line and column."""
    file = plan_file(
        {"signals.latency.unit": "msec", "phases.0.for": "0m", "phases.1.criteria.1": {"latency": "p95 << 200ms"}}
    )
    lines = file.read_text().splitlines()
    found = problems(file)
    assert [problem.split(": ")[1] for problem in found] == [
        "signals.latency.unit",
        "phases[0].for",
        "phases[1].criteria[1]",
    ]
    assert "did you mean 'p95 < 200ms'?" in found[2]
    for problem in found:
        path, line, column = problem.split(": ")[0].rsplit(":", 2)
        assert path == str(file)
        assert lines[int(line) - 1][int(column) - 1] in '"{'


def test_an_unknown_key_does_not_hide_what_else_is_wrong(plan_file: Write) -> None:
    """Misspelt keys and unknown names come in one go; what the misspelt key explains is not told twice."""
    edits = {"phases.1.critera": [], "phases.1.approval.by": ["ower"], "targets.api.use": "enovy/shop", "nmae": "x"}
    file = plan_file({**edits, "phases.1.criteria": []})
    found = [problem.split(": ", 1)[1] for problem in problems(file)]
    assert [told.split(":")[0] for told in found] == [
        "targets.api.use",
        "phases[1].approval.by[0]",
        "phases[1].critera",
        "nmae",
    ]
    assert all("did you mean" in told for told in found)


def test_the_place_of_an_unknown_key_is_the_key(plan_file: Write) -> None:
    """An editor that jumps there puts the cursor on the misspelt word."""
    file = plan_file({})
    file.write_text("naem: x\n" + "\n".join(f"{k}: {json.dumps(v)}" for k, v in json.loads(file.read_text()).items()))
    (problem,) = problems(file)
    assert problem.startswith(f"{file}:1:1: naem: unknown key; valid values: name, service,")
    assert problem.endswith("did you mean 'name'?")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", ":1:1: the file is empty"),
        (b"# only a comment\n", ":1:1: the file is empty"),
        (b"- a\n- b\n", ":1:1: a plan is a YAML mapping"),
        (b"just text", ":1:1: a plan is a YAML mapping"),
        (b"a: 1\n\tb: 2\n", ":2:1: broken YAML: a tab; indent with spaces"),
        (b"a: [1, 2\n", "broken YAML: "),
        (
            b"r: {a: > 20%}\n",
            ":1:8: broken YAML: found character '>' that cannot start any token; put the value in quotes",
        ),
        (b"a: > 20%\n", "put the value in quotes"),
        (b"a: 1\n---\nb: 2\n", ":2:1: broken YAML: expected a single document"),
        (b"a: *nowhere\n", ":1:4: broken YAML: found undefined alias 'nowhere'"),
        (b"a: &x [*x]\n", "an alias inside its own anchor"),
        (b"a: \x00\n", "cannot be read as YAML"),
        (b"\xff\xfe\x00", "no text file in UTF-8"),
        (b"\x7fELF\x02\x01\x01\x00", "cannot be read as YAML"),
        (b"a: " + b"[" * 5000, "cannot be read as YAML"),
        (b"a: " + b"x" * 1_000_001, "larger than 1 MB"),
    ],
)
def test_a_file_that_is_no_yaml_mapping_has_exactly_one_problem(tmp_path: Path, text: bytes, words: str) -> None:
    """One clear sentence with the place, and no Python traceback."""
    file = tmp_path / "plan.yaml"
    file.write_bytes(text)
    (problem,) = problems(file)
    assert problem.startswith(str(file))
    assert words in problem
    assert "\n" not in problem


def test_a_missing_file_names_the_nearest(plan_file: Write) -> None:
    """A misspelt file name is answered with the file that is there."""
    file = plan_file({})
    (problem,) = problems(file.with_name("plam.yaml"))
    assert "no such file" in problem
    assert str(file) in problem


def test_a_directory_is_told_apart_from_a_file(tmp_path: Path) -> None:
    """The message says what to name instead."""
    assert problems(tmp_path) == (f"{tmp_path}: is a directory; name the YAML file in it",)


def test_a_file_that_cannot_be_read_is_a_plan_error(plan_file: Write) -> None:
    """What the system says is told, as a problem of the plan's file."""
    (problem,) = problems(plan_file({}) / "plan.yaml")
    assert "cannot be read: Not a directory" in problem


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("name: spring\n", "name: the key stands twice; first in line 1"),
        ("<<: {mixed_versions: ok}\n", "merge keys (<<) are not used"),
        ("[a]: b\n", "a key must be a plain text"),
        ("mixed_versions:\n", "mixed_versions: nothing stands here"),
        ("without: [~]\n", "without[0]: nothing stands here"),
        ("mixed_versions: !ruby/sym ok\n", "mixed_versions: the tag !ruby/sym means nothing"),
        ("without: !!set {a}\n", "without: the tag !set means nothing"),
    ],
)
def test_yaml_that_would_be_read_in_surprising_ways_is_refused(plan_file: Write, line: str, words: str) -> None:
    """Twice the same key, merges, empty values, tags: each could hide what the plan really says."""
    file = plan_file({})
    body = "\n".join(f"{key}: {json.dumps(value)}" for key, value in json.loads(file.read_text()).items())
    file.write_text(f"{body}\n{line}")
    number = len(body.splitlines()) + 1
    assert any(problem.startswith(f"{file}:{number}:") and words in problem for problem in problems(file))


def test_aliases_cannot_blow_a_plan_up(tmp_path: Path) -> None:
    """Ten levels of ten aliases would be ten thousand million nodes."""
    levels = "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 11))
    file = tmp_path / "plan.yaml"
    file.write_text(f"a0: &a0 [x]\n{levels}\n")
    (problem,) = problems(file)
    assert "aliases make the document too large" in problem


def test_a_stored_body_of_another_shape_is_a_plan_error() -> None:
    """A damaged journal names the field."""
    with pytest.raises(PlanError, match="stored plan: the required key 'service' is missing"):
        parse_plan('{"name": "spring"}')
    with pytest.raises(PlanError, match="stored plan"):
        parse_plan("{")


def test_no_value_of_a_credential_field_is_repeated(plan_file: Write) -> None:
    """Who pastes a token where its block's name belongs does not read it again in a log."""
    token = "eyJhbGciOi.SECRET_value"
    found = problems(plan_file({"phases.0.checks.0.bearer": token, "phases.0.checks.1.token": token}))
    assert len(found) == 2
    assert not any("SECRET" in problem for problem in found)


_LEAVES = (
    st.none() | st.booleans() | st.integers(-3, 200) | st.sampled_from(["", "10%", "30m", "any", "api/x", "errors"])
)
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
)


def _paths(node: Any, path: tuple[str, ...] = ()) -> list[str]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    here = [".".join(path)] if path else []
    return here + [found for key, child in children for found in _paths(child, (*path, str(key)))]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_plan_with_any_value_anywhere_is_loaded_or_refused_with_places(
    plan_file: Write, plan_body: Callable[[dict[str, Any]], str], data: st.DataObject
) -> None:
    """No edit makes anything but PlanError, and each problem begins with the file's name and a line."""
    path = data.draw(st.sampled_from(_paths(json.loads(plan_body({})))))
    file = plan_file({path: data.draw(_VALUES)})
    found: tuple[str, ...] = ()
    try:
        assert load_plan(file).plan.phases
    except PlanError as error:
        found = error.problems
        assert found, "a PlanError without a problem"
    assert all(problem.startswith(f"{file}:") and problem.partition(": ")[2] for problem in found)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet="ab:-{}[]#&*!|>'\"%@`, \n\t0.~?<") | st.binary(max_size=40).map(lambda b: b.decode("latin-1")))
def test_arbitrary_text_is_never_more_than_a_plan_error(tmp_path: Path, text: str) -> None:
    """Whatever the file holds, the answer is in words."""
    file = tmp_path / "plan.yaml"
    file.write_text(text, "utf-8")
    assert problems(file)


def test_loading_a_plan_imports_neither_prefect_nor_http_nor_a_database() -> None:
    """A check before every commit must start at once, on a machine without a server."""
    code = (
        "import sys, canary.plan.load, canary.plan.words, canary.plan.schema, canary.cli.plan, canary.cli.main;"
        "not_for_this = ('prefect', 'httpx', 'slack_sdk', 'aiohttp', 'sqlalchemy', 'fastapi', 'rich.table');"
        "print([m for m in not_for_this if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
