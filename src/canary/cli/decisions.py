"""What people decide from the command line: each a line of the journal, and no Prefect needed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from canary.rollout import events as e
    from canary.rollout.state import State

Rollout = Annotated[str, typer.Argument(metavar="ID", help="The rollout: canary status lists them.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the journal.", show_default=False)]
By = Annotated[str | None, typer.Option("--by", help="Your name; the user of this shell by default.")]
Role = Annotated[str, typer.Option("--role", help="The role you speak in, as the plan names it.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]
Make = Callable[["State", dict[str, Any]], "e.Decision"]


def approve(rollout: Rollout, role: Role, reason: Reason, by: By = None, as_json: AsJson = False) -> None:
    """Say yes to the go-live that a rollout waits for."""
    from canary.rollout.events import ApprovalGiven

    _enter(rollout, by, reason, lambda s, who: ApprovalGiven(role=role, subject=_subject(s), **who), as_json)


def reject(rollout: Rollout, role: Role, reason: Reason, by: By = None, as_json: AsJson = False) -> None:
    """Say no: the rollout ends, exposure 0 verified."""
    from canary.rollout.events import ApprovalRejected

    _enter(rollout, by, reason, lambda _, who: ApprovalRejected(role=role, **who), as_json)


def hold(rollout: Rollout, reason: Reason, by: By = None, as_json: AsJson = False) -> None:
    """Stay at this exposure until somebody decides."""
    from canary.rollout.events import HoldAsked

    _enter(rollout, by, reason, lambda _, who: HoldAsked(**who), as_json)


def extend(
    rollout: Rollout,
    duration: Annotated[str, typer.Argument(metavar="DURATION", help="Plan time, such as 30m.")],
    reason: Reason,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Give the running soak more time."""
    from canary.errors import BadUsage
    from canary.plan.units import seconds as parse
    from canary.rollout.events import ExtendAsked

    try:
        seconds = parse(duration)
    except ValueError as error:
        raise BadUsage(str(error)) from None
    _enter(rollout, by, reason, lambda _, who: ExtendAsked(seconds=seconds, **who), as_json)


def promote(rollout: Rollout, reason: Reason, by: By = None, as_json: AsJson = False) -> None:
    """Let a held phase pass on your word, which the journal keeps."""
    from canary.rollout.events import PromoteAsked

    _enter(rollout, by, reason, lambda _, who: PromoteAsked(**who), as_json)


def abort(rollout: Rollout, reason: Reason, by: By = None, as_json: AsJson = False) -> None:
    """Take users off the candidate and end the rollout. It stays aborted."""
    from canary.rollout.events import AbortAsked

    _enter(rollout, by, reason, lambda _, who: AbortAsked(**who), as_json)


def ack(rollout: Rollout, reason: Reason = "seen", by: By = None, as_json: AsJson = False) -> None:
    """You have seen the page and look after it."""
    from canary.rollout.events import PageAcknowledged

    _enter(rollout, by, reason, lambda _, who: PageAcknowledged(**who), as_json)


COMMANDS: dict[str, Callable[..., None]] = {
    "approve": approve,
    "reject": reject,
    "hold": hold,
    "extend": extend,
    "promote": promote,
    "abort": abort,
    "ack": ack,
}


def _subject(state: State) -> str:
    return state.approval.subject if state.approval else ""


def who(by: str | None, reason: str) -> dict[str, str]:
    """How a person of this shell is recorded: named, unproven."""
    import getpass
    import socket

    user = getpass.getuser()
    return {"by": by or user, "how": f"command line, user {user} on {socket.gethostname()}", "reason": reason}


def _enter(rollout: str, by: str | None, reason: str, make: Make, as_json: bool) -> None:
    journaled(asyncio.run(_append(rollout, lambda s: make(s, who(by, reason)))), rollout, as_json)


def journaled(state: State, rollout: str, as_json: bool) -> None:
    """Tell that a decision is journaled, and how to follow what comes of it."""
    if as_json:
        typer.echo(json.dumps({"rollout": rollout, "seq": state.seq, "phase": state.phase}))
    else:
        typer.echo(f"journaled as line {state.seq} of {rollout}; follow it with: canary status {rollout} --watch")


async def _append(rollout: str, make: Callable[[State], e.Decision]) -> State:
    from canary.cli.store import WallClock, journal
    from canary.rollout.people import enter, read_state

    async with journal() as opened:
        decision = make(await read_state(opened, rollout))
        return await enter(opened, WallClock(), rollout, decision)
