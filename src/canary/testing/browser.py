"""What every browser must do. Subclass BrowserConformance and give it a fixture `stage`."""

from __future__ import annotations

from typing import Any, Protocol

from canary.plan.visits import UiCheck
from canary.ports import Access, Browser, Visit

SECRET = "s3cret-value-of-a-person"
PAGES = ("/works", "/empty", "/twice", "/throws", "/failing")


def script(page: str, **changes: Any) -> UiCheck:
    """Clicks #more, and then sees two items and a status."""
    click, see = {"click": "#more"}, [{"see": "#items li", "count": 2}, {"see": "#status", "text": "2 items"}]
    return UiCheck.model_validate({"name": page, "open": page, "do": (click,), "expect": see, **changes}, strict=False)


class BrowserStage(Protocol):
    """A server with a page that works, and one that breaks in each way that a page can.

    /works: the button #more adds an item to the one in #items, and says so in #status. /empty: has no button.
    /twice: has two. /throws: works, and its script throws the header it was asked with. /failing: answers 503.
    """

    access: Access
    nobody: Access

    def open(self) -> Browser:
        """A browser."""


class BrowserConformance:
    """A page that does not do as it should is told, step by step, and never raised."""

    async def visit(self, stage: BrowserStage, page: str) -> Visit:
        """By a browser that is closed afterwards."""
        browser = stage.open()
        try:
            return await browser.visit(stage.access, script(page))
        finally:
            await browser.close()

    async def test_a_page_that_works_passes(self, stage: BrowserStage) -> None:
        """One view, nothing thrown, and how long it took."""
        visit = await self.visit(stage, "/works")
        assert (visit.outcome, visit.errors, visit.views) == ("passed", (), 1), visit.detail
        assert visit.seconds > 0

    async def test_a_selector_that_matches_nothing_fails_its_step(self, stage: BrowserStage) -> None:
        """The step is named, and the selector."""
        visit = await self.visit(stage, "/empty")
        assert (visit.outcome, visit.detail) == ("failed", "click #more: #more matches nothing")

    async def test_a_selector_that_matches_two_fails_its_step(self, stage: BrowserStage) -> None:
        """Never the first of several."""
        visit = await self.visit(stage, "/twice")
        assert (visit.outcome, visit.detail) == ("failed", "click #more: #more matches 2 elements")

    async def test_what_a_script_of_the_page_throws_is_told(self, stage: BrowserStage) -> None:
        """Beside the outcome of the steps, and without a secret that the page knew."""
        visit = await self.visit(stage, "/throws")
        (thrown,) = visit.errors
        assert "broken for" in thrown
        assert SECRET not in f"{visit}"

    async def test_an_error_page_has_failed(self, stage: BrowserStage) -> None:
        """The candidate answered, with no page to look at."""
        visit = await self.visit(stage, "/failing")
        assert (visit.outcome, visit.detail, visit.views) == ("failed", "the page answered 503", 0)

    async def test_no_answer_tells_nothing(self, stage: BrowserStage) -> None:
        """Where nobody listens nothing was seen of the candidate."""
        browser = stage.open()
        visit = await browser.visit(stage.nobody, script("/nobody"))
        await browser.close()
        assert (visit.outcome, visit.views) == ("cannot tell", 0)
        assert visit.detail.startswith("open /nobody: ")
        assert SECRET not in f"{visit}"

    async def test_a_browser_that_was_closed_can_be_closed_again(self, stage: BrowserStage) -> None:
        """One that was never used, too."""
        browser = stage.open()
        await browser.close()
        await browser.check_connection()
        await browser.close()
        await browser.close()
