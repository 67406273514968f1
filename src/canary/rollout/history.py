"""What a person wants to see of the past and no decision needs: values over a phase, who said yes, the last line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from canary.errors import PlanError
from canary.plan.load import parse_plan
from canary.plan.model import Plan
from canary.ports import Journal
from canary.rollout import events as e
from canary.rollout.folding import fold
from canary.rollout.people import read_state
from canary.rollout.state import State
from canary.rollout.words import say

RuleId = tuple[str, str]
"""A rule by its measure and its text, as a verdict names them."""


@dataclass(frozen=True, slots=True)
class Yes:
    """One approval that counted: for which phase, in which role, by whom, and how that was learnt."""

    phase: str
    role: str
    by: str
    how: str
    proven: bool


@dataclass(frozen=True, slots=True)
class History:
    """What was told so far.

    values: rule → its values in the order of the verdicts of the soak under way; None where nothing was measured.
    said:   the last line that people need to know, and `said_at` in unix seconds.
    """

    values: Mapping[RuleId, tuple[float | None, ...]] = field(default_factory=dict)
    approvals: tuple[Yes, ...] = ()
    said: str = ""
    said_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Story:
    """A rollout as far as its journal has been read."""

    state: State
    history: History = field(default_factory=History)


def remember(history: History, state: State, event: e.Event, at: float) -> History:
    """The history after a line; `state` is the one after it, `at` unix seconds."""
    if sentence := say(state, event):
        history = replace(history, said=sentence, said_at=at)
    match event:
        case e.SoakStarted():
            return replace(history, values={})
        case e.Judged() if state.verdict:
            return replace(history, values=_grown(history, state))
        case e.ApprovalGiven() if state.approval and state.approval.given.get(event.role) == event.by:
            yes = Yes(state.phase, event.role, event.by, event.how, event.proven)
            others = tuple(a for a in history.approvals if (a.phase, a.role) != (yes.phase, yes.role))
            return replace(history, approvals=(*others, yes))
    return history


def _grown(history: History, state: State) -> dict[RuleId, tuple[float | None, ...]]:
    assert state.verdict is not None
    # A rule may stand twice, as criterion and as trigger: its value counts once.
    now = {(v.measure, v.rule): v.value for v in state.verdict.verdicts}
    return {rule: (*history.values.get(rule, ()), value) for rule, value in now.items()}


async def begin_story(journal: Journal, rollout: str) -> Story:
    """All that is journaled. Raises UnknownRollout, JournalUnavailable, and JournalError for a line not understood."""
    story = await read_on(journal, Story(State(rollout)))
    if not story.state.seq:
        await read_state(journal, rollout)
    return story


async def read_on(journal: Journal, story: Story) -> Story:
    """The story with what was journaled since. Raises JournalUnavailable, and JournalError as above."""
    state, history = story.state, story.history
    for entry in await journal.read(state.rollout, state.seq):
        state = fold(state, [entry])
        history = remember(history, state, e.parse(entry), entry.at)
    return Story(state, history)


async def plan_of(journal: Journal, state: State) -> Plan | None:
    """The rollout's plan, or None when this version cannot read it: what else is known is worth showing.

    Raises JournalUnavailable.
    """
    stored = await journal.plan(state.plan_hash)
    try:
        return parse_plan(stored.body) if stored else None
    except PlanError:
        return None
