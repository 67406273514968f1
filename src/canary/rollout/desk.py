"""Who is told, by which routes. Nothing here is ever waited for by what keeps users safe."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict

from canary.ports import NOTHING, Clock, Dashboards, Notifier, Receipt
from canary.rollout.events import Event, Paged, ThreadStarted
from canary.rollout.waiting import PROVIDER_TIMEOUT, within

Journaled = Callable[[Event], Awaitable[None]]
Queue = asyncio.Queue[Callable[[], Awaitable[None]]]


class Desk:
    """Messages, pages and marks on dashboards, each in a queue of their own: no page waits behind a message.

    threads: route → where its thread was begun, as the journal has it. `journaled` records the receipts of pages,
    and where a thread begins.
    """

    def __init__(
        self,
        clock: Clock,
        thread: str,
        updates: Mapping[str, Notifier],
        page: Mapping[str, Notifier],
        journaled: Journaled,
        threads: Mapping[str, str] = NOTHING,
        dashboards: Dashboards | None = None,
    ) -> None:
        self.clock = clock
        self.thread = thread
        self._updates = updates
        self._page = page
        self._journaled = journaled
        self._threads = dict(threads)
        self._known = dict(threads)
        self._posts: Queue = asyncio.Queue()
        self._pages: Queue = asyncio.Queue()
        self._marks: Queue = asyncio.Queue()
        self._dashboards = dashboards

    def post(self, message: str, mentions: Sequence[str] = ()) -> None:
        """Tell the rollout's thread, on every route for updates; `mentions` as `Notifier.post` takes them."""
        self._posts.put_nowait(lambda: self.tell(message, mentions))

    def page(self, incident: str, summary: str) -> None:
        """Wake somebody: route after route until one confirms."""
        self._pages.put_nowait(lambda: self.page_now(incident, summary))

    def mark(self, text: str, tags: Sequence[str]) -> None:
        """Mark this moment on the dashboards, where there are any; a mark that does not arrive is not made again."""
        if (boards := self._dashboards) is None:
            return
        at = self.clock.now()
        self._marks.put_nowait(lambda: within(self.clock, PROVIDER_TIMEOUT, boards.annotate(text, tags, at)))

    async def serve(self) -> None:
        """Deliver for ever."""
        await asyncio.gather(*map(_deliver, (self._posts, self._pages, self._marks)))

    async def drain(self, seconds: float) -> None:
        """Wait until everything is delivered, at most so long."""
        with contextlib.suppress(TimeoutError):
            await within(
                self.clock,
                seconds,
                asyncio.gather(*(queue.join() for queue in (self._posts, self._pages, self._marks))),
            )

    async def tell(self, message: str, mentions: Sequence[str] = ()) -> None:
        """Post and wait for it: route after route, each within its time limit. Raises what `journaled` does."""
        for route, notifier in self._updates.items():
            ref = self._threads.get(route, "")
            told = await self._bounded(route, notifier.post(self.thread, message, ref, mentions))
            self._threads[route] = told.ref or ref
        await self._begun()

    async def _begun(self) -> None:
        """Journal each thread once. What the journal did not take is offered again after the next message."""
        for route, ref in self._threads.items():
            if ref and self._known.get(route) != ref:
                await self._journaled(ThreadStarted(route=route, ref=ref))
                self._known[route] = ref

    async def page_now(self, incident: str, summary: str) -> None:
        """Page and wait for the receipts. Raises what `journaled` does."""
        receipts: list[Receipt] = []
        for route, notifier in self._page.items():
            receipts.append(await self._bounded(route, notifier.page(incident, summary)))
            if receipts[-1].confirmed:
                break
        await self._journaled(Paged(incident=incident, summary=summary, receipts=tuple(map(asdict, receipts))))

    async def _bounded(self, route: str, work: Awaitable[Receipt]) -> Receipt:
        try:
            return await within(self.clock, PROVIDER_TIMEOUT, work)
        except TimeoutError:
            return Receipt(route, False, f"no answer within {PROVIDER_TIMEOUT:.0f} s")


async def _deliver(queue: Queue) -> None:
    while True:
        work = await queue.get()
        with contextlib.suppress(Exception):
            await work()
        queue.task_done()
