"""What people decide, as lines of the journal. A conductor finds them within a second."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NoReturn

from canary.errors import BadUsage, Conflict, JournalError, JournalUnavailable, UnknownRollout
from canary.ports import Clock, Journal
from canary.rollout import events as e
from canary.rollout.folding import fold
from canary.rollout.state import State

TRIES = 50


async def read_state(journal: Journal, rollout: str) -> State:
    """Raises UnknownRollout, naming the newest ones."""
    state = State(rollout)
    async for entry in journal.lines(rollout):
        state = fold(state, [entry])
    return state if state.seq else await unknown(journal, rollout)


async def readable(journal: Journal) -> AsyncIterator[State]:
    """Every rollout's state, newest first. One that another version wrote is passed over: it must stop no other.

    Raises JournalUnavailable.
    """
    for rollout in await journal.rollouts():
        try:
            yield await read_state(journal, rollout)
        except JournalUnavailable:
            raise
        except JournalError:
            continue


async def unknown(journal: Journal, rollout: str) -> NoReturn:
    """Raises UnknownRollout, naming the newest ones."""
    known = list(await journal.rollouts())[:5]
    newest = f"the newest are: {', '.join(known)}" if known else "this journal has none yet"
    raise UnknownRollout(
        f"no rollout {rollout!r} in this journal",
        f"{newest} (CANARY_JOURNAL_URL says which; a SQLite file is seen on one host only, other hosts need Postgres)",
    )


async def enter(journal: Journal, clock: Clock, rollout: str, decision: e.Decision) -> State:
    """Append a person's decision; the state after it. Raises UnknownRollout, and BadUsage when it cannot be taken."""
    for _ in range(TRIES):
        state = await read_state(journal, rollout)
        possible(state, decision, clock.now())
        try:
            entries = await journal.append(rollout, state.seq, [decision.entry(clock.now())])
        except Conflict:
            continue
        return fold(state, entries)
    raise Conflict(f"rollout {rollout} is being written too fast to add a decision", "try again")


def possible(state: State, decision: e.Decision, now: float) -> None:
    """Raises BadUsage, saying what would be possible instead. `now` in unix seconds."""
    match decision:
        case e.RollbackAsked() | e.PageAcknowledged() if state.ended and state.ended.outcome == "promoted":
            return
        case e.AbortAsked() if state.ended and state.ended.outcome == "promoted":
            back = f"bring it back with: canary rollback {state.rollout} --reason '…'"
            raise BadUsage(f"rollout {state.rollout} has ended: promoted, and no conductor is left to abort it", back)
        case _ if state.ended:
            raise BadUsage(f"rollout {state.rollout} has ended: {state.ended.outcome}", "start a new one: canary start")
        case e.ApprovalGiven() | e.ApprovalRejected():
            _can_approve(state, decision, now)
        case e.PromoteAsked() if state.hold is None:
            raise BadUsage(f"rollout {state.rollout} is not held: there is nothing to override", _watch(state))
        case e.ResumeAsked() if state.hold is None:
            raise BadUsage(f"rollout {state.rollout} is not held", _watch(state))
        case e.ExtendAsked() | e.HoldAsked() | e.FeatureOffAsked() if not _judging(state):
            raise BadUsage(f"rollout {state.rollout} is not in the soak of a phase with users", _watch(state))


def _judging(state: State) -> bool:
    """Whether the phase that has the users is being judged: elsewhere nothing would come of a hold."""
    over = state.phase in state.passed or state.stop or state.rollback
    return state.soaking == state.phase and state.asked > 0 and not over


def _can_approve(state: State, decision: e.ApprovalGiven | e.ApprovalRejected, now: float) -> None:
    asked = state.approval
    if state.stop or state.rollback:
        raise BadUsage(f"rollout {state.rollout} is on its way back: there is nothing to approve", _watch(state))
    if asked is None:
        raise BadUsage(f"rollout {state.rollout} does not wait for an approval now", _watch(state))
    if decision.role not in asked.roles:
        raise BadUsage(f"phase {state.phase} asks nobody as {decision.role!r}", f"it asks: {', '.join(asked.roles)}")
    if isinstance(decision, e.ApprovalGiven) and decision.subject != asked.subject:
        raise BadUsage("this approval is for other evidence than is asked about now", _watch(state))
    if now > asked.due:
        raise BadUsage(f"the time to approve {state.phase} is over: it counts no more", _watch(state))


def _watch(state: State) -> str:
    return f"see where it stands: canary status {state.rollout}"
