"""Journals of every earlier version are folded to the end that they had."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from canary.judge.block import Block
from canary.judge.verdict import PhaseVerdict
from canary.plan.load import parse_plan
from canary.ports import Entry, NewEntry, StoredPlan
from canary.review.reading import read
from canary.rollout import events as e
from canary.rollout.folding import fold
from canary.rollout.history import begin_story, plan_of
from canary.rollout.state import State
from canary.rollout.view import view
from canary.testing.journal import MemoryJournal

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.jsonl"))
CANARY = ("staging",)
ALL = ("staging", "canary", "full")
# File → how it ended, the phases that passed, bad requests met, blocks of the last soak, looks of the watch.
ENDS: dict[str, tuple[str, tuple[str, ...], float, int, int]] = {
    "aborted-unverified": ("rolled_back in canary", CANARY, 0.0, 1, 0),
    "before-anything-was-watched": ("promoted in full", ALL, 0.0, 15, 0),
    "brought-back-after-promotion": ("rolled_back in full", ALL, 0.0, 16, 2),
    "failed-in-canary": ("rolled_back in canary", CANARY, 150.0, 8, 0),
    "first-shapes": ("promoted in full", ALL, 0.0, 15, 0),
    "gone-on-by-another": ("promoted in full", ALL, 0.0, 120, 0),
    "gone-on-with-a-gap": ("promoted in full", ALL, 0.0, 118, 0),
    "held-and-overridden": ("promoted in full", ALL, 0.0, 28, 0),
    "judged-before-proofs": ("promoted in full", ALL, 0.0, 15, 2),
    "read-otherwise-after-a-restart": ("promoted in full", ALL, 0.0, 120, 0),
    "rejected": ("rolled_back in canary", CANARY, 0.0, 0, 0),
    "without-a-feature": ("promoted in full", ALL, 18.0, 12, 0),
    "watched-before-alerts": ("promoted in full", ALL, 0.0, 15, 3),
}


def records(file: Path, kind: str) -> list[dict[str, Any]]:
    """The file's lines of that kind."""
    lines = (json.loads(line) for line in file.read_text().splitlines())
    return [line for line in lines if line["kind"] == kind]


def entries(file: Path) -> list[Entry]:
    names = ("rollout", "seq", "at", "epoch", "type", "data")
    return [Entry(*(line[name] for name in names)) for line in records(file, "entry")]


def named(file: Path) -> str:
    return file.stem


@pytest.mark.parametrize("file", GOLDEN, ids=named)
def test_an_old_journal_is_folded_to_the_end_it_had(file: Path) -> None:
    """Outcome, phases, bad requests, evidence and looks are what they were when it was written."""
    lines = entries(file)
    state = fold(State(file.stem), lines)
    assert state.ended is not None
    assert state.ended.verified
    end = f"{state.ended.outcome} in {state.ended.phase}"
    assert (end, state.passed, state.bad_requests, state.evidence.blocks, len(state.watched)) == ENDS[file.stem]
    assert state.seq == len(lines)
    assert state.at_full == (state.ended.outcome == "promoted")


@pytest.mark.parametrize("file", GOLDEN, ids=named)
async def test_an_old_journal_is_shown_and_reviewed(file: Path) -> None:
    """Its plan is read, its status drawn, and its columns filled: not only the fold understands it."""
    journal, lines = MemoryJournal(), entries(file)
    (plan,) = records(file, "plan")
    await journal.store_plan(StoredPlan(*(plan[name] for name in ("hash", "name", "service", "body"))))
    await journal.append(file.stem, 0, [NewEntry(line.at, line.type, line.data) for line in lines])
    story = await begin_story(journal, file.stem)
    assert await plan_of(journal, story.state) == parse_plan(plan["body"])
    assert view(story, await plan_of(journal, story.state), lines[-1].at).service == plan["service"]
    assert (await read(journal, file.stem)).state.ended == story.state.ended


def test_every_event_with_every_field_has_a_golden_line() -> None:
    """A new type of event, or a new field of one, is not in any journal here yet: run one that has it, and keep it."""
    seen: dict[str, set[str]] = defaultdict(set)
    for file in GOLDEN:
        for line in entries(file):
            seen[line.type] |= line.data.keys()
    lacking = {name: event.model_fields.keys() - seen[name] for name, event in real_events().items()}
    assert {name: fields for name, fields in lacking.items() if fields or name not in seen} == {}


def test_every_field_of_a_block_and_of_a_verdict_has_a_golden_line() -> None:
    """What evidence and verdicts are made of is in some journal, as deep as it goes."""
    data = [line.data for file in GOLDEN for line in entries(file)]
    blocks = [dict(each["block"]) for each in data if "block" in each]
    verdicts = [dict(each["verdict"]) for each in data if "verdict" in each]
    assert paths_of(blocks) >= paths_of([Block.from_data(each).to_data() for each in blocks])
    assert paths_of(verdicts) >= paths_of([PhaseVerdict.from_data(each).to_data() for each in verdicts])
    assert {"watched.*.*.last", "routed.*", "increments.*.*.buckets"} <= paths_of(blocks)
    assert {"verdicts.proof.seen", "verdicts.baseline.total"} <= paths_of(verdicts)


@pytest.mark.parametrize("file", GOLDEN, ids=named)
def test_reading_an_old_line_loses_nothing(file: Path) -> None:
    """Written again, a line has all that it had: no field was renamed, or dropped from what it tells."""
    for line in entries(file):
        again = e.parse(line).entry(line.at).data
        assert {name: again.get(name) for name in line.data} == line.data


def real_events() -> Mapping[str, type[e.Event]]:
    """Those that are written; `decision` is the base of people's entries."""
    return {name: event for name, event in e.TYPES.items() if event is not e.Decision}


KEYED = ("watched", "increments", "routed")
"""Where names of measures and arms are keys."""


def paths_of(value: Any, path: str = "") -> set[str]:
    """Every path of keys in JSON data; a measure's and an arm's name is a star."""
    if isinstance(value, list):
        return {found for each in value for found in paths_of(each, path)}
    if not isinstance(value, Mapping):
        return {path.removeprefix(".")}
    star = path.lstrip(".").partition(".")[0] in KEYED and path.count("*") < (1 if path.startswith(".routed") else 2)
    return {path.removeprefix(".")} | {
        found for name, each in value.items() for found in paths_of(each, f"{path}.{'*' if star else name}")
    }
