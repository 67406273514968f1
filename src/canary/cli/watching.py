"""`canary status --watch` on a terminal: one live view, drawn anew as the journal grows and time passes."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from canary.cli.drawing import draw
from canary.cli.following import LOOK_EVERY
from canary.errors import JournalUnavailable
from canary.plan.model import Plan
from canary.ports import Clock, Journal
from canary.rollout.history import Story, begin_story, plan_of, read_on
from canary.rollout.state import State
from canary.rollout.view import view


async def watch(journal: Journal, clock: Clock, rollout: str, console: Console) -> State:
    """Draw until the rollout has ended, or could not be verified; the state then.

    A journal that stops answering is waited for, and said; nothing else is shown as if it were fresh.
    Raises UnknownRollout, JournalUnavailable before the first answer, JournalError for a line not understood.
    """
    story = await begin_story(journal, rollout)
    plan = await plan_of(journal, story.state)
    silent_since: float | None = None
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(_frame(story, plan, clock.now(), silent_since), refresh=True)
            if _final(story.state):
                return story.state
            await clock.sleep(LOOK_EVERY)
            try:
                story, silent_since = await read_on(journal, story), None
            except JournalUnavailable:
                silent_since = silent_since or clock.now()


def _final(state: State) -> bool:
    return bool(state.ended or (state.rollback and state.rollback.unverified_at))


def _frame(story: Story, plan: Plan | None, now: float, silent_since: float | None) -> RenderableType:
    drawn = draw(view(story, plan, now))
    if silent_since is None:
        return drawn
    return Group(drawn, Text(f"the journal does not answer since {now - silent_since:.0f} s", "bold red"))
