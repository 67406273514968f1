"""A conductor that is killed at any of its effects, before or after it happened: the next one ends the rollout."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from canary.guard import Guard
from canary.rollout import events as e
from canary.rollout.conducting import Start, Stores, begin, conducting, pass_preflight, taking
from canary.rollout.lease import NEW_HOLDER_WAITS

EFFECTS = ("append", "take", "release", "seal", "drop", "prepare", "expose", "put")
SHORT = {"phases.0.for": "1m", "phases.1.for": "2m"}


class Killed(BaseException):
    """kill -9: nothing of the process goes on, its clean-up neither."""


@dataclass
class Life:
    """A process that dies at its effect number `at`, with that effect done or not."""

    at: int = 0
    done: bool = False
    effects: int = 0
    dead: bool = False

    def lives(self, part: Any) -> Any:
        return _Part(self, part)

    async def call(self, verb: Any, args: Any) -> Any:
        self._still()
        if verb.__name__ not in EFFECTS:
            found = await verb(*args)
            self._still()
            return found
        self.effects += 1
        last = self.effects == self.at
        if last and not self.done:
            self._dies()
        found = await verb(*args)
        if last:
            self._dies()
        return found

    def _dies(self) -> None:
        self.dead = True
        raise Killed

    def _still(self) -> None:
        if self.dead:
            raise Killed


class _Part:
    """A port as the process reaches it."""

    def __init__(self, life: Life, part: Any) -> None:
        self._life = life
        self._of = part

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._of, name)

        async def call(*args: Any) -> Any:
            return await self._life.call(verb, args)

        async def each(*args: Any) -> AsyncIterator[Any]:
            for item in await self._life.call(listed, args):
                yield item

        async def listed(*args: Any) -> list[Any]:
            return [item async for item in verb(*args)]

        return each if inspect.isasyncgenfunction(verb) else call


async def conduct(world: Any, life: Life) -> None:
    """What a flow does, on ports that die with its process."""
    stores = Stores(
        life.lives(world.journal), life.lives(world.vault), world.spool, world.clock, life.lives(world.shelf)
    )
    opener = replace(world.opener, block=lambda ref, fields: life.lives(world.opener.block(ref, fields)))
    await begin(stores, Start("r1", "a" * 64, "2.0.0", "Ann", "a test"))
    async with taking(stores, "r1") as seat:
        adapters = await pass_preflight(seat, world.load, opener)
        async with conducting(seat, adapters) as conductor:
            for phase in conductor.plan.phases:
                await conductor.await_approval(phase.name)
                if (await conductor.run_phase(phase.name)).rollback:
                    await conductor.finish_rollback()
                    return
            await conductor.promote()


async def approvals(world: Any) -> None:
    """Two people who say yes as soon as they are asked."""
    while True:
        await world.clock.sleep(0.5)
        state = await world.state()
        for role in state.approval.missing if state.approval and not state.rollback else ():
            given = e.ApprovalGiven(role=role, by=role, how="a test", reason="fine", subject=state.approval.subject)
            await world.says(given)


async def killed_and_taken_up(world: Any, monkeypatch: pytest.MonkeyPatch, life: Life) -> bool:
    """One process up to its death, and 21 s later another one to the end; whether the first one died at all."""
    await world.store()
    approving = asyncio.create_task(approvals(world))
    monkeypatch.setattr("canary.rollout.conducting.holder", lambda: "first")
    with contextlib.suppress(Killed):
        await asyncio.wait_for(conduct(world, life), 20)
    if life.dead:
        await world.clock.sleep(21)
        monkeypatch.setattr("canary.rollout.conducting.holder", lambda: "second")
        lines = await world.lines()
        if lines and lines[-1].type == "rollout_ended":
            await world.clock.sleep(5)
            await Guard(world.stores, world.opener).look()
        else:
            await asyncio.wait_for(conduct(world, Life()), 20)
    approving.cancel()
    await asyncio.gather(approving, return_exceptions=True)
    return life.dead


async def no_raise_too_early(world: Any) -> None:
    """Each raise follows a journaled intent, and a second holder's comes when the first one's last has landed."""
    lines = await world.lines()
    took = {line.epoch: line.at for line in lines if line.type == "conductor_took"}
    for platform in world.platforms.values():
        for sent in (sent for sent in platform.sent if sent.share > 0):
            intents = [x for x in lines if x.type == "exposure_intended" and x.data["share"] == sent.share]
            assert any(intent.at <= sent.at and intent.epoch == sent.epoch for intent in intents)
            assert sent.epoch == min(took) or sent.at >= took[sent.epoch] + NEW_HOLDER_WAITS


def once(lines: Any, kind: str) -> list[Mapping[str, Any]]:
    """The lines of a kind, of which there must not be two alike."""
    found = [line.data for line in lines if line.type == kind]
    assert all(found.count(data) == 1 for data in found), f"{kind} stands twice"
    return found


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
async def test_a_good_candidate_is_promoted_whatever_dies(make_world: Any, monkeypatch: Any, done: bool) -> None:
    """Killed before or after each effect in turn: the same end, each phase passed once, no raise too early."""
    at, died = 0, True
    while died:
        at += 1
        world = make_world(SHORT)
        died = await killed_and_taken_up(world, monkeypatch, Life(at, done))
        state, lines = await world.state(), await world.lines()
        assert (state.ended.outcome, world.shares()) == ("promoted", [1.0, 1.0]), f"killed at effect {at}"
        assert [data["phase"] for data in once(lines, "phase_passed")] == ["staging", "canary", "full"]
        assert len(once(lines, "rollout_ended")) == 1
        assert await world.journal.locks() == ()
        await no_raise_too_early(world)
    assert at > 30


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
async def test_a_bad_candidate_goes_back_whatever_dies(make_world: Any, monkeypatch: Any, done: bool) -> None:
    """The same with a candidate that fails: exposure 0 everywhere, verified, and nothing raised after the verdict."""
    at, died = 0, True
    while died:
        at += 1
        world = make_world(SHORT)
        world.metrics.bad = 0.5
        died = await killed_and_taken_up(world, monkeypatch, Life(at, done))
        state, lines = await world.state(), await world.lines()
        assert (state.ended.outcome, world.shares()) == ("rolled_back", [0.0, 0.0]), f"killed at effect {at}"
        assert len(once(lines, "rollback_started")) == 1
        assert await world.journal.locks() == ()
        back = next(line.at for line in lines if line.type == "rollback_started")
        assert all(sent.at <= back for p in world.platforms.values() for sent in p.sent if sent.share > 0)
        await no_raise_too_early(world)
    assert at > 20
