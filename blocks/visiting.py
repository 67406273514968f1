"""One scripted visit of one page with Playwright: open, do, expect. Imported only where Playwright is installed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, Response, expect
from playwright.async_api import Error as BrowserError
from playwright.async_api import TimeoutError as BrowserTimeout

from canary.blocks.hiding import Hider, in_headers
from canary.blocks.keeping import Keeper
from canary.blocks.own_origin import own_headers
from canary.plan.model import UiCheck
from canary.plan.visits import Choose, Click, Fill, See, Step, Tick
from canary.ports import Access, Clock, Look, Visit

ALL_WITHIN = 20.0
"""Seconds for the whole visit."""
LOAD_WITHIN = 10.0
"""Seconds until the page's first byte."""
STEP_WITHIN = 5.0
"""Seconds for one step, and for one expectation to come true."""
QUIET_WITHIN = 1.0
"""Seconds that requests on their way at the end, such as a beacon, may still take."""
SHOWN = 200
"""Characters of a page's own words that are repeated."""
ERRORS = 5
"""Errors that are repeated, of each kind."""
GIVEN_UP = "net::ERR_ABORTED"
"""Of a request that the page itself gave up, as for an image that it no longer needs."""


class StepFailed(Exception):
    """A page is there, and does not do as the script says."""


class NoPage(Exception):
    """No page came."""


@dataclass
class Seen:
    """What one visit has shown so far. What `hider` knows is never repeated.

    noticed: what explains a failure and is none by itself: errors in the console, requests that failed. kept: where
    a picture of it is.
    """

    hider: Hider
    views: int = 0
    errors: list[str] = field(default_factory=list)
    noticed: list[str] = field(default_factory=list)
    kept: str = ""

    def listen(self, page: Page) -> None:
        """To everything that it says of itself."""
        page.on("pageerror", self.threw)
        page.on("console", self._said)
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)

    def threw(self, error: BrowserError) -> None:
        """A script of the page threw, and nothing caught it."""
        if len(self.errors) < ERRORS:
            self.errors.append(self.hide(error.message))

    def words(self, detail: str) -> str:
        """The end of the visit, with what was noticed where it explains something."""
        meanwhile = f"; meanwhile: {' · '.join(self.noticed)}" if self.noticed else ""
        return f"{self.hide(detail)}{meanwhile}{self.kept}"

    async def keep(self, keeper: Keeper | None, page: Page, name: str) -> None:
        """What it looks like now, where there is something to see."""
        if keeper and self.views:
            self.kept = await keeper.keep(page, name)

    def _said(self, message: ConsoleMessage) -> None:
        # Of an answer that was an error the console tells in other words what `_answered` tells with its path.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self._notice(f"console: {message.text}")

    def _failed(self, request: Request) -> None:
        if request.failure != GIVEN_UP and not request.is_navigation_request():
            self._notice(f"{request.method} {urlsplit(request.url).path}: {request.failure}")

    def _answered(self, answer: Response) -> None:
        if answer.status >= 400 and not answer.request.is_navigation_request():
            self._notice(f"{answer.request.method} {urlsplit(answer.url).path} answered {answer.status}")

    def _notice(self, what: str) -> None:
        told = self.hide(what)
        if len(self.noticed) < ERRORS and told not in self.noticed:
            self.noticed.append(told)

    def hide(self, text: str) -> str:
        """On one line, cut, every secret replaced by ***."""
        return self.hider.shown(text, SHOWN)


class Traffic:
    """The page's requests that have no answer yet."""

    def __init__(self, page: Page) -> None:
        self._open: set[object] = set()
        self._quiet = asyncio.Event()
        self._quiet.set()
        page.on("request", self._sent)
        page.on("requestfinished", self._ended)
        page.on("requestfailed", self._ended)

    async def settle(self, seconds: float) -> None:
        """Until every request has ended, but not for longer than that."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._quiet.wait()

    def _sent(self, request: object) -> None:
        self._open.add(request)
        self._quiet.clear()

    def _ended(self, request: object) -> None:
        self._open.discard(request)
        if not self._open:
            self._quiet.set()


async def visited(
    browser: Browser,
    access: Access,
    script: UiCheck,
    clock: Clock,
    leave: Callable[[BrowserContext], None],
    folder: Path | None = None,
) -> Visit:
    """The visit, by somebody new. `leave` is given the context to close; in `folder` a failure is kept."""
    began = clock.monotonic()
    seen = Seen(Hider(in_headers(access.headers)))
    keeper = Keeper(folder, seen.hider, clock) if folder else None

    def told(outcome: Look, detail: str) -> Visit:
        good = outcome == "passed" and not seen.errors
        said = seen.hide(detail) if good else seen.words(detail)
        return Visit(outcome, said, tuple(seen.errors), seen.views, clock.monotonic() - began)

    try:
        async with asyncio.timeout(ALL_WITHIN):
            await _visit(browser, access, script, seen, leave, keeper)
        return told("passed", f"{script.open} did as expected")
    except StepFailed as error:
        return told("failed", str(error))
    except NoPage as error:
        return told("cannot tell", f"open {script.open}: {error}")
    except TimeoutError:
        return told("failed" if seen.views else "cannot tell", f"the visit did not end within {ALL_WITHIN:.0f} s")
    except BrowserError as error:
        return told("cannot tell", f"the browser failed: {_first_line(error)}")


async def _visit(
    browser: Browser,
    access: Access,
    script: UiCheck,
    seen: Seen,
    leave: Callable[[BrowserContext], None],
    keeper: Keeper | None,
) -> None:
    # A service worker would send requests of its own, past the page's headers.
    context = await browser.new_context(service_workers="block")
    try:
        if keeper:
            await keeper.begin(context)
        page = await context.new_page()
        seen.listen(page)
        try:
            await _follow(page, access, script, seen, browser)
        except (StepFailed, BrowserError):
            await seen.keep(keeper, page, script.name)
            raise
        if seen.errors:
            await seen.keep(keeper, page, script.name)
    finally:
        leave(context)


async def _follow(page: Page, access: Access, script: UiCheck, seen: Seen, browser: Browser) -> None:
    """The script, step by step."""
    traffic = Traffic(page)
    async with own_headers(page, access):
        await _open(page, access.url + script.open, seen)
        await _loaded(page, traffic)
        for step in script.do:
            with _saying(step.words, browser):
                await _do(page, step)
        for expected in script.expect:
            with _saying(expected.words, browser):
                await _see(page, expected)
        await traffic.settle(QUIET_WITHIN)


async def _open(page: Page, url: str, seen: Seen) -> None:
    statuses: list[int] = []
    page.on("response", lambda answer: statuses.append(answer.status) if _is_page(answer) else None)
    try:
        await page.goto(url, wait_until="commit", timeout=1000 * LOAD_WITHIN)
    except BrowserTimeout:
        raise NoPage(f"no answer within {LOAD_WITHIN:.0f} s") from None
    except BrowserError as error:
        # An error status without a body is an answer too; Chromium shows a page of its own for it.
        if not (statuses and statuses[-1] >= 400):
            network = re.search(r"net::\w+", error.message)
            raise NoPage(network[0] if network else _first_line(error)) from None
    if statuses and statuses[-1] >= 400:
        raise StepFailed(f"the page answered {statuses[-1]}")
    seen.views = 1


async def _loaded(page: Page, traffic: Traffic) -> None:
    """As a person waits: what is still on its way would overwrite what the first steps do. Not for ever."""
    with suppress(BrowserTimeout):
        await page.wait_for_load_state("load", timeout=1000 * STEP_WITHIN)
    await traffic.settle(STEP_WITHIN)


def _is_page(answer: Response) -> bool:
    return answer.request.is_navigation_request() and answer.frame.parent_frame is None


async def _do(page: Page, step: Step) -> None:
    within = 1000 * STEP_WITHIN
    match step:
        case Click():
            await (await _the_one(page, step.click)).click(timeout=within)
        case Tick():
            await (await _the_one(page, step.check)).check(timeout=within)
        case Choose():
            await (await _the_one(page, step.in_)).select_option(step.choose, timeout=within)
        case Fill():
            await (await _the_one(page, step.in_)).fill(step.fill, timeout=within)


async def _the_one(page: Page, selector: str) -> Locator:
    """The one visible element. Raises StepFailed for none and for several."""
    found = _visible(page, selector)
    with suppress(BrowserTimeout):
        await found.first.wait_for(timeout=1000 * STEP_WITHIN)
    count = await found.count()
    if count != 1:
        raise StepFailed(_matches(selector, count))
    return found


async def _see(page: Page, expected: See) -> None:
    found, wanted = _visible(page, expected.see), 1 if expected.count is None else expected.count
    try:
        await expect(found).to_have_count(wanted, timeout=1000 * STEP_WITHIN)
    except AssertionError:
        raise StepFailed(_matches(expected.see, await found.count())) from None
    if expected.text is not None:
        try:
            await expect(found).to_have_text(expected.text, timeout=1000 * STEP_WITHIN)
        except AssertionError:
            text = " ".join(await found.all_text_contents())
            raise StepFailed(f"its text is {' '.join(text.split())!r}") from None


def _visible(page: Page, selector: str) -> Locator:
    return page.locator(f"css={selector} >> visible=true")


def _matches(selector: str, count: int) -> str:
    return f"{selector} matches " + ("nothing" if count == 0 else "1 element" if count == 1 else f"{count} elements")


@contextmanager
def _saying(words: str, browser: Browser) -> Iterator[None]:
    """What goes wrong in here is told as the failure of this step. When the browser is gone it says nothing of it."""
    try:
        yield
    except StepFailed as error:
        raise StepFailed(f"{words}: {error}") from None
    except BrowserTimeout as error:
        raise StepFailed(f"{words}: not possible within {STEP_WITHIN:.0f} s{_why(error)}") from None
    except BrowserError as error:
        if not browser.is_connected():
            raise
        raise StepFailed(f"{words}: {_first_line(error)}") from None


def _first_line(error: BrowserError) -> str:
    return error.message.strip().partition("\n")[0]


def _why(error: BrowserError) -> str:
    """What Playwright's log says it waited for, if it says so."""
    found = re.findall(r"(?:element is not|did not find|.*intercepts pointer).*", error.message)
    return f" ({found[-1].strip(' -')})" if found else ""
