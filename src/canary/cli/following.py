"""Following a rollout's journal: each new line as a sentence, until the end."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from canary.cli.store import journal
from canary.ports import Journal
from canary.rollout.events import Event, parse
from canary.rollout.folding import fold
from canary.rollout.state import State
from canary.rollout.words import say

LOOK_EVERY = 0.3
EXIT_CODES = {"promoted": 0, "refused": 2, "rolled_back": 3, "held": 4, "unverified": 5, "feature_rolled_back": 6}
WITHOUT_FEATURES = 6
"""The exit code of a release that everybody has, or that is held, with features switched off."""


async def follow(opened: Journal, rollout: str) -> AsyncIterator[tuple[State, Event | None]]:
    """Each line as it is journaled, with the state after it; now and then (state, None) when nothing is new."""
    state = State(rollout)
    while True:
        for entry in await opened.read(rollout, state.seq):
            state = fold(state, [entry])
            yield state, parse(entry)
        yield state, None
        await asyncio.sleep(LOOK_EVERY)


def tell(state: State, event: Event | None) -> None:
    """One line on standard error, with the local time, for what people need to know."""
    sentence = say(state, event) if event else None
    if sentence:
        sys.stderr.write(f"{datetime.now().astimezone():%H:%M:%S}  {sentence}\n")
        sys.stderr.flush()


async def follow_to_the_end(rollout: str) -> State:
    """Tell every line until the rollout has ended, or is held, or could not be verified."""
    from canary.rollout.people import read_state

    async with journal() as opened:
        await read_state(opened, rollout)
        async for state, event in follow(opened, rollout):
            tell(state, event)
            if event is None and (state.ended or (state.rollback and state.rollback.unverified_at)):
                return state
    raise AssertionError("a journal is followed until its rollout ends")


def outcome_of(state: State) -> str:
    """The word for where a rollout is: its end, or held, perhaps without a feature, or unverified while rollback keeps
    trying."""
    if state.ended:
        return state.ended.outcome
    if state.without_a_feature:
        return "feature_rolled_back"
    return "unverified" if state.rollback else "held"


def outcome_line(state: State) -> dict[str, Any]:
    """The one JSON line with which commands end."""
    reason = state.ended.reason if state.ended else state.rollback.reason if state.rollback else ""
    if state.hold and not state.ended and not state.rollback:
        reason = state.hold.reason
    return {
        "rollout": state.rollout,
        "outcome": outcome_of(state),
        "phase": state.phase or "preflight",
        "reason": state.rollback.reason if state.rollback else reason,
        "verified": state.ended.verified if state.ended else state.without_a_feature,
        "seconds": round((state.ended_at or state.phase_since) - state.started_at, 1),
        "bad_requests": int(state.bad_requests),
        "skipped": list(state.skipped),
        "features_off": list(state.features_off),
    }


def end(state: State, as_json: bool) -> int:
    """Print the outcome; the exit code."""
    line = outcome_line(state)
    if as_json:
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    else:
        verified = "verified" if line["verified"] else "NOT verified"
        sys.stdout.write(f"\n{str(line['outcome']).replace('_', ' ')} ({verified}): {line['reason']}\n")
        if state.skipped:
            sys.stdout.write(f"without these checks, which were skipped: {', '.join(state.skipped)}\n")
        if state.features_off and line["outcome"] in ("promoted", "feature_rolled_back"):
            sys.stdout.write(f"without these features, which were switched off: {', '.join(state.features_off)}\n")
    sys.stdout.flush()
    promoted_without = line["outcome"] == "promoted" and state.features_off
    return WITHOUT_FEATURES if promoted_without else EXIT_CODES[str(line["outcome"])]
