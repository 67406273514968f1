"""The journal as one process sees it: the folded state, and appending behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from canary.errors import Conflict, JournalUnavailable
from canary.ports import Clock, Entry, Journal, Lock, NewEntry
from canary.rollout.events import Event
from canary.rollout.folding import apply, read
from canary.rollout.silence import Asked, Silence
from canary.rollout.state import State

SILENT_AFTER = 10.0
"""Seconds without a journal's answer after which a conductor must not go on as if nothing were (promise I6)."""
LAST_MOMENT = 4.0
"""Seconds before the lease's end at which no answer is waited for any more. After 10 s of silence there are as many
left, even where the last renewal took its time: only a process that stood still has fewer."""
RETRY_EVERY = 0.5

Listener = Callable[[State, Event], None]
"""Told of every line, once it is journaled. Must return at once and never raise."""


class Spool(Protocol):
    """Where lines wait that the journal did not take."""

    def add(self, rollout: str, entries: Sequence[NewEntry]) -> None: ...

    async def flush(self, journal: Journal) -> None:
        """Append what waits. Raises JournalUnavailable."""


class Record:
    """One rollout's journal, folded. Not for two tasks that decide; any number may tell facts."""

    def __init__(self, journal: Journal, clock: Clock, rollout: str, spool: Spool) -> None:
        self.journal = journal
        self.clock = clock
        self.spool = spool
        self.state = State(rollout)
        self.lock: Lock | None = None
        self.listeners: list[Listener] = []
        self.silence = Silence(clock)
        self._spooled = False
        self._decided_from = 0
        self._one_writer = asyncio.Lock()

    async def refresh(self) -> bool:
        """Fold what others appended; whether there was anything. Raises JournalUnavailable."""
        anything = self._fold(await self._heard("read", self.journal.read(self.state.rollout, self.state.seq)))
        self._decided_from = self.state.seq
        return anything

    async def newer(self) -> bool:
        """Whether others appended since. Raises JournalUnavailable."""
        return bool(await self._heard("read", self.journal.read(self.state.rollout, self.state.seq)))

    async def decide(self, *events: Event) -> None:
        """Append what follows from the state at the last `refresh`.

        Raises Conflict when anything was journaled since, though it be by this process: a page's receipt that is
        appended meanwhile may have folded a person's abort.
        """
        async with self._one_writer:
            if self.state.seq != self._decided_from:
                raise Conflict(f"rollout {self.state.rollout} has gone on since this was decided", "decide again")
            await self._append(self._entries(events))
            self._decided_from = self.state.seq

    async def tell(self, *events: Event) -> None:
        """Append facts, whatever was appended in between.

        Raises LeaseLost, and JournalUnavailable once the journal is too silent.
        """
        async with self._one_writer:
            entries, since = self._entries(events), self.state.seq
            while not await self._told(entries, since):
                await self.clock.sleep(RETRY_EVERY)

    async def insist(self, *events: Event) -> None:
        """Append facts, or else spool them for the journal's return, and go on as if they were in it."""
        entries = self._entries(events)
        try:
            await self._unspool()
            await self.tell(*events)
        except JournalUnavailable:
            self._spooled = True
            await asyncio.to_thread(self.spool.add, self.state.rollout, entries)
            for event, entry in zip(events, entries, strict=True):
                self._see(apply(event, self.state, entry.at), event)

    async def _unspool(self) -> None:
        """What waits in the spool came first: nothing is appended ahead of it."""
        if self._spooled:
            await self.spool.flush(self.journal)
            self._spooled = False

    @property
    def too_silent(self) -> bool:
        """Whether the journal has not answered for too long to go on."""
        return self._too_long(self.silence.seconds)

    @property
    def unrenewed(self) -> bool:
        """The same of the lease alone: where nothing is journaled for long, in a hold, only that tells."""
        return self._too_long(self.silence.of("renew"))

    def _too_long(self, silent: float) -> bool:
        return silent >= SILENT_AFTER or (silent > 0 and self.silence.left <= LAST_MOMENT)

    async def _heard(self, asked: Asked, answer: Awaitable[Sequence[Entry]]) -> Sequence[Entry]:
        began = self.clock.monotonic()
        try:
            entries = await answer
        except JournalUnavailable:
            self.silence.goes_on(asked, began)
            raise
        self.silence.ends(asked)
        return entries

    async def _append(self, entries: Sequence[NewEntry]) -> None:
        append = self.journal.append(self.state.rollout, self.state.seq, entries, self.lock)
        self._fold(await self._heard("write", append))

    async def _told(self, entries: Sequence[NewEntry], since: int) -> bool:
        try:
            return await self._appended(entries, since)
        except JournalUnavailable:
            if self.too_silent:
                raise
            return False

    async def _appended(self, entries: Sequence[NewEntry], since: int) -> bool:
        """False when others were faster: their lines are folded, and ours are to be tried again."""
        if self.state.seq > since and await self._stand(entries, since):
            # Another task's look has folded what this one had no answer for.
            return True
        try:
            await self._append(entries)
        except Conflict:
            # An append whose answer was lost comes back as a conflict with ourselves.
            return await self._stand(entries, since)
        return True

    async def _stand(self, entries: Sequence[NewEntry], since: int) -> bool:
        """Whether they are among the lines behind that one; the newer ones are folded."""
        newer = await self._heard("read", self.journal.read(self.state.rollout, since))
        self._fold(newer)
        return _holds(newer, entries)

    def _entries(self, events: Sequence[Event]) -> list[NewEntry]:
        at = self.clock.now()
        return [event.entry(at) for event in events]

    def _fold(self, entries: Sequence[Entry]) -> bool:
        for entry in entries:
            if entry.seq > self.state.seq:
                event, state = read(self.state, entry)
                self._see(state, event)
        return bool(entries)

    def _see(self, state: State, event: Event) -> None:
        self.state = state
        for listener in self.listeners:
            listener(state, event)


def _holds(journaled: Sequence[Entry], ours: Sequence[NewEntry]) -> bool:
    """Whether our lines stand among the journaled ones, in one piece."""
    have = [(entry.at, entry.type, dict(entry.data)) for entry in journaled]
    want = [(entry.at, entry.type, dict(entry.data)) for entry in ours]
    return any(have[i : i + len(want)] == want for i in range(len(have) - len(want) + 1))
