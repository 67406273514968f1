"""Checks in a browser within a rollout: what they say of the candidate, and that nothing waits for a browser."""

from __future__ import annotations

import json
from typing import Any

import pytest

from canary.plan.load import parse_plan
from canary.plan.model import UiCheck
from canary.ports import Access, Visit
from canary.rollout import events as e
from canary.rollout.checks import Checks, visit_observed
from canary.testing.browser import script
from canary.testing.fakes import FakeBrowser, FakeClock, FakeProbe

PASSED = Visit("passed", "/queue did as expected", views=1, seconds=0.51)
UI: dict[str, Any] = {"name": "filter works", "open": "/queue", "expect": [{"see": "h1"}], "bearer": "token/admin"}


@pytest.mark.parametrize(
    ("visit", "outcome", "detail"),
    [
        (PASSED, "passed", "/queue did as expected (0.5 s)"),
        (Visit("failed", "click #a: #a matches nothing", (), 1, 6), "failed", "click #a: #a matches nothing (6.0 s)"),
        (Visit("passed", "fine", ("a broke", "b"), 1, 1), "failed", "fine (1.0 s); thrown meanwhile: a broke · b"),
        (Visit("cannot tell", "no answer", (), 0, 10), "cannot tell", "no answer (10.0 s)"),
    ],
)
def test_a_visit_becomes_a_line_of_the_journal(visit: Visit, outcome: str, detail: str) -> None:
    """A page that throws has failed, whatever else it does; the views that no user made are counted."""
    looked = visit_observed(script("/queue"), visit)
    assert (looked.name, looked.outcome, looked.detail, looked.scripted_views) == (
        "/queue",
        outcome,
        detail,
        visit.views,
    )


def test_a_line_of_before_there_were_visits_is_still_understood() -> None:
    """Without the count of views."""
    assert e.CheckObserved.model_validate({"name": "x", "outcome": "passed", "detail": ""}).scripted_views == 0


async def test_visits_go_to_their_own_target_and_carry_their_token() -> None:
    """To the target that the check names, else to the first; the token is in the headers, never in the journal."""
    browser, first, web = FakeBrowser(), Access("http://api", {"a": "1"}), Access("http://web", {"b": "2"})
    bearers = {"token/admin": {"authorization": "Bearer secret"}}
    checks = Checks(FakeClock(), FakeProbe(), browser, first, {"web": web}, bearers, (), 600.0)
    here = UiCheck.model_validate({**UI, "expect": ({"see": "h1"},)})
    looked = await checks.round((here, here.model_copy(update={"target": "web", "bearer": None})))
    assert [access.url for access, _ in browser.visited] == ["http://api", "http://web"]
    assert [dict(access.headers) for access, _ in browser.visited] == [
        {"a": "1", "authorization": "Bearer secret"},
        {"b": "2"},
    ]
    assert "secret" not in f"{looked}"


def with_ui(make_world: Any, **edits: Any) -> Any:
    """A world whose staging looks at a page, too."""
    world = make_world({"phases.0.checks": [{"name": "home", "get": "/"}, UI], **edits})
    world.browser.visits["/queue"] = PASSED
    return world


async def test_a_candidate_whose_pages_work_is_promoted(make_world: Any, ended: Any) -> None:
    """Each round visits once; the views that no user made stand in the journal."""
    world = with_ui(make_world)
    task = world.start()
    await world.approve("owner", "lead")
    assert (await ended(task)).ended.outcome == "promoted"
    looked = [line.data for line in await world.lines() if line.type == "check_observed"]
    assert len(world.browser.visited) > 1
    assert sum(data["scripted_views"] for data in looked) == len(world.browser.visited)
    assert "s3cret-value" not in json.dumps(looked)


async def test_a_page_that_fails_ends_in_staging(make_world: Any, ended: Any) -> None:
    """Nobody saw the candidate, and the reason names check and step."""
    world = with_ui(make_world)
    world.browser.visits["/queue"] = Visit("failed", "see h1: h1 matches nothing", (), 1, 6.0)
    state = await ended(world.start())
    assert state.ended.outcome == "rolled_back"
    assert "filter works: see h1: h1 matches nothing" in state.ended.reason
    assert max(world.sent()) == 0


async def test_a_browser_that_hangs_is_given_up(make_world: Any, ended: Any) -> None:
    """The round ends within its time: nothing can be told, and staging does not pass."""
    world = with_ui(make_world)
    world.browser.hangs = world.clock
    state = await ended(world.start())
    assert state.ended.outcome == "rolled_back"
    assert "filter works: no answer within 25 s" in state.ended.reason


async def test_an_abort_does_not_wait_for_a_browser(make_world: Any, ended: Any, person: Any) -> None:
    """Exposure 0 is sent within two seconds of the abort, in the middle of a round."""
    world = with_ui(make_world)
    world.browser.hangs = world.clock
    task = world.start()
    while not world.browser.visited:
        await world.clock.sleep(0.5)
    await world.says(e.AbortAsked(**person()))
    asked = world.clock.now()
    state = await ended(task)
    assert (state.ended.outcome, state.rollback.cause) == ("rolled_back", "abort")
    assert world.platforms["api"].sent[-1].at - asked < 2.0


@pytest.mark.parametrize("without", [[], ["filter works"]])
async def test_a_plan_with_pages_needs_a_browser_or_goes_without(make_world: Any, without: list[str]) -> None:
    """Refused before anything is touched, saying what to install; or skipped, never passed."""
    world = with_ui(make_world, without=without)
    world.browser.lacks = "apt install chromium"
    await world.begin()
    if without:
        async with world.conductor() as (_, conductor):
            assert conductor.plan.without == ("filter works",)
        return
    with pytest.raises(Exception, match="there is no browser; it is needed for 'filter works'") as refused:
        async with world.conductor():
            pass
    assert refused.value.exit_code == 2
    assert "apt install chromium; or list these checks in the plan under without" in str(refused.value)
    assert "preflight_passed" not in await world.types()


def test_the_journals_of_such_plans_can_be_resumed(make_world: Any) -> None:
    """The stored body is the plan."""
    assert isinstance(parse_plan(json.dumps(with_ui(make_world).document)).checks[-1], UiCheck)
