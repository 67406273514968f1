"""The checklist in preflight: each item journaled with its hash, and nothing touched while one is not fulfilled."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from canary.blocks.evidence import Folder
from canary.blocks.opener import CLOCK
from canary.errors import Refused
from canary.plan.load import load_plan
from canary.ports import Found, Response
from canary.rollout.adapters import open_adapters
from canary.rollout.checklist import look_at_checklist
from canary.rollout.conducting import refuse, taking
from canary.testing.fakes import FakeClock

ITEMS: list[dict[str, Any]] = [
    {"item": "tests documented", "evidence": {"file": "docs/tests.md"}},
    {"item": "fixtures valid", "evidence": {"command": ["check", "it"], "within": "30s"}},
    {"item": "notes published", "evidence": {"url": "https://docs.example/notes?v=s3cret-value"}},
    {"item": "all done", "evidence": {"word_of": "owner", "says": "it is"}},
]
NOTES = "https://docs.example/notes?v=s3cret-value"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def listed(make_world: Any) -> Any:
    """A world whose plan has a checklist, all of it fulfilled."""
    world = make_world({"checklist": ITEMS})
    world.evidence.found = {
        "docs/tests.md": Found(True, "file docs/tests.md", "f1"),
        "check it": Found(True, "check ended with exit status 0", "f2"),
    }
    world.probe.answers[NOTES] = Response(200, {}, "what is new")
    return world


async def observed(world: Any) -> list[dict[str, Any]]:
    return [dict(line.data) for line in await world.lines() if line.type == "checklist_observed"]


async def test_every_item_is_journaled_before_preflight_has_passed(listed: Any, ended: Any) -> None:
    """With kind, outcome and hash; a person's word is there, unproven; the content is nowhere."""
    task = listed.start()
    await listed.approve("owner", "lead")
    assert (await ended(task)).ended.outcome == "promoted"
    types = await listed.types()
    assert types.index("checklist_observed") < types.index("preflight_passed")
    assert types.count("checklist_observed") == len(ITEMS)
    told = await observed(listed)
    assert [(each["kind"], each["outcome"], each["sha256"]) for each in told] == [
        ("file", "fulfilled", "f1"),
        ("command", "fulfilled", "f2"),
        ("url", "fulfilled", sha256("what is new")),
        ("word_of", "unproven", sha256("it is")),
    ]
    assert told[3]["detail"] == "the word of Olga Owner: it is"
    assert "what is new" not in json.dumps(told)
    assert "s3cret-value" not in json.dumps(told)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("docs/tests.md", "tests documented: there is no file docs/tests.md"),
        ("check it", "fixtures valid: check cannot be run"),
    ],
)
async def test_an_item_that_is_not_fulfilled_refuses(listed: Any, broken: str, reason: str) -> None:
    """Exit 2, nothing touched; the item is named with its reason, and every item is journaled all the same."""
    del listed.evidence.found[broken]
    error = await refused(listed)
    assert error.exit_code == 2
    assert reason in error.what
    assert "CANARY_EVIDENCE" in error.fix
    assert len(await observed(listed)) == len(ITEMS)
    assert "preflight_passed" not in await listed.types()
    assert listed.sent() == []
    assert not await listed.journal.locks()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Response(404, {}, "x"), "notes published: GET https://docs.example/notes answered 404"),
        (None, "notes published: GET https://docs.example/notes: no answer"),
    ],
)
async def test_a_page_that_is_not_there_refuses(listed: Any, answer: Response | None, reason: str) -> None:
    """Without the query of its address, which may hold a secret."""
    del listed.probe.answers[NOTES]
    if answer:
        listed.probe.answers[NOTES] = answer
    error = await refused(listed)
    assert reason in str(error)
    assert "s3cret-value" not in str(error)


async def test_all_that_is_missing_is_named_at_once(listed: Any) -> None:
    """Nobody has to start three times to learn of three things."""
    listed.evidence.found.clear()
    error = await refused(listed)
    assert "tests documented" in error.what
    assert "fixtures valid" in error.what


async def test_an_item_that_hangs_ends_at_its_time(listed: Any) -> None:
    """Whatever the adapter does: the look is bounded, and the other items are told as ever."""

    class Hanging:
        clock: FakeClock = listed.clock

        async def file(self, path: str) -> Found:
            await self.clock.sleep(3600.0)
            return Found(True, path)

        async def command(self, argv: object, seconds: float) -> Found:
            await self.clock.sleep(3600.0)
            return Found(True, str(argv))

    listed.evidence = Hanging()
    began = listed.clock.now()
    error = await refused(listed)
    assert "tests documented: no answer within 30 s; fixtures valid: no answer within 35 s" in error.what
    assert listed.clock.now() - began < 40.0


async def refused(world: Any) -> Refused:
    """The error with which preflight ends; the rollout is closed as the flow closes it."""
    await world.begin()
    with pytest.raises(Refused) as error:
        async with world.conductor():
            pytest.fail("it was conducted")
    async with taking(world.stores, "r1") as seat:
        await refuse(seat, error.value)
    assert (await world.state()).ended.outcome == "refused"
    return error.value


async def test_the_runbooks_own_evidence_is_in_order(world: Any) -> None:
    """The packaged plan's five items, looked at in the packaged folder: real files and a real command."""
    plans = Path(__file__).parents[2] / "plans"
    plan = load_plan(plans / "phase1.yaml").plan
    adapters = open_adapters(
        world.plan, {ref: {"token": "s3cret-value"} for ref in world.plan.block_refs()}, world.opener
    )

    looked = await look_at_checklist(plan, replace(adapters, evidence=Folder(plans / "evidence")), CLOCK)
    assert [(each.outcome, len(each.sha256)) for each in looked] == [("unproven", 64), *[("fulfilled", 64)] * 4]
