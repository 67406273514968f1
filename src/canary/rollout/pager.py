"""Which incidents are open, and when each is due to be paged: at once, then again until it is seen or solved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from canary.plan.units import percent
from canary.rollout.desk import Desk
from canary.rollout.record import SILENT_AFTER, Record
from canary.rollout.state import State

PAGE_AGAIN_AFTER = 300.0
"""Seconds between two pages of the same incident; never scaled."""
LOOK_EVERY = 1.0


@dataclass(frozen=True, slots=True)
class Incident:
    """What somebody must look at. `since` in unix seconds; `summary` reads on after the word "still".

    An acknowledgement counts for what was open by then.
    """

    name: str
    since: float
    summary: str


def incidents(state: State, silent: float, now: float) -> Iterator[Incident]:
    """What is open; `silent` is for how many seconds the journal has not answered. All of it follows from the state,
    so that whoever conducts next goes on paging where the one before stopped."""
    if state.ended:
        return
    if state.hold and state.hold.until is not None:
        where = f"{state.phase} at {percent(state.asked)}"
        yield Incident("hold", state.hold.since, f"held in {where}, a person must decide: {state.hold.reason}")
    if state.rollback and state.rollback.unverified_at and not state.rollback.verified:
        off = "; ".join(f"{name}: {s.detail}" for name, s in state.targets.items() if s.answer != "yes")
        what = f"on the way back, exposure 0 could not be verified: {off}"
        yield Incident("rollback", state.rollback.unverified_at, what)
    if silent >= SILENT_AFTER:
        users = "at full exposure, everybody stays there" if state.at_full else "the users are taken off the candidate"
        yield Incident("journal", now - silent, f"without a journal that answers, for {silent:.0f} s: {users}")


class Pager:
    """Pages what is open and due. One for each conductor; what was paged before it came is in the journal."""

    def __init__(self, record: Record, desk: Desk) -> None:
        self.record = record
        self.desk = desk
        self._paged_at: dict[str, float] = {}
        self._about: dict[str, float] = {}

    async def watch(self) -> None:
        """For ever."""
        while True:
            self.look()
            await self.record.clock.sleep(LOOK_EVERY)

    def look(self) -> None:
        """Page what is due now. Returns at once."""
        state, now = self.record.state, self.record.clock.now()
        for incident in incidents(state, self.record.silence.seconds, now):
            if state.acknowledged_at < incident.since:
                self._page(incident, now)

    def _page(self, incident: Incident, now: float) -> None:
        rollout = self.record.state.rollout
        key = f"{rollout}:{incident.name}"
        last = max(self._paged_at.get(key, 0.0), self.record.state.paged.get(key, 0.0))
        # Who opened it may have had a clock that was ahead: what was paged about is known by its own time.
        again = max(last, self._about.get(key, 0.0)) >= incident.since
        if again and now - last < PAGE_AGAIN_AFTER:
            return
        self._paged_at[key], self._about[key] = now, incident.since
        told = f"{'still ' if again else ''}{incident.summary}"
        self.desk.page(key, f"{told}. Seen it? canary ack {rollout} --reason …")
