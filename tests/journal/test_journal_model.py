"""The SQL journal and the one in memory do the same, whatever is asked of them in whatever order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canary.errors import JournalError, ServiceBusy
from canary.journal.store import SqlJournal
from canary.ports import Journal, Lock, NewEntry, StoredPlan
from canary.testing.journal import MemoryJournal

Step = Callable[[Journal, list[Lock]], Awaitable[Any]]

names = st.sampled_from(["a", "b"])
times = st.integers(0, 40).map(float)
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
entries = st.lists(st.builds(NewEntry, times, st.just("noted"), st.dictionaries(st.text(), json)), max_size=3)


def with_lock(nth: int, verb: Callable[[Journal, Lock], Awaitable[Any]]) -> Step:
    """A verb on one of the locks taken so far, most of them stale; nothing when there is none."""

    async def step(journal: Journal, taken: list[Lock]) -> Any:
        return await verb(journal, taken[nth % len(taken)]) if taken else None

    return step


@st.composite
def appends(draw: st.DrawFn) -> Step:
    rollout, after, new = draw(names), draw(st.integers(0, 4)), draw(entries)
    if draw(st.booleans()):
        return lambda journal, _: journal.append(rollout, after, new)
    return with_lock(draw(st.integers(0, 9)), lambda journal, lock: journal.append(rollout, after, new, lock))


@st.composite
def takes(draw: st.DrawFn) -> Step:
    service, rollout, holder, now = draw(names), draw(names), draw(names), draw(times)

    async def step(journal: Journal, taken: list[Lock]) -> Lock:
        taken.append(await journal.take(service, rollout, holder, now, 20.0))
        return taken[-1]

    return step


@st.composite
def lock_verbs(draw: st.DrawFn) -> Step:
    now = draw(times)
    verbs: list[Callable[[Journal, Lock], Awaitable[Any]]] = [
        lambda journal, lock: journal.renew(lock, now, 20.0),
        lambda journal, lock: journal.yield_lease(lock),
        lambda journal, lock: journal.release(lock),
    ]
    return with_lock(draw(st.integers(0, 9)), draw(st.sampled_from(verbs)))


@st.composite
def plan_verbs(draw: st.DrawFn) -> Step:
    plan = StoredPlan(draw(names), draw(names), "docs", "{}")
    # A hash belongs to one body and one name.
    plan = StoredPlan(plan.hash + plan.name, plan.name, plan.service, plan.body)
    return lambda journal, _: journal.store_plan(plan)


async def outcome(step: Step, journal: Journal, taken: list[Lock]) -> Any:
    try:
        return await step(journal, taken)
    except (JournalError, ServiceBusy) as error:
        return type(error), str(error)


async def everything(journal: Journal) -> Any:
    plans = [await journal.plan_named(name) for name in ("a", "b")]
    lines = {rollout: list(await journal.read(rollout)) for rollout in ("a", "b")}
    return list(await journal.rollouts()), lines, list(await journal.locks()), plans


@settings(max_examples=40)
@given(steps=st.lists(appends() | takes() | lock_verbs() | plan_verbs(), max_size=15))
def test_sql_and_memory_agree(tmp_path_factory: pytest.TempPathFactory, steps: list[Step]) -> None:
    """Step by step both give the same answer or the same error, and in the end both hold the same."""
    file: Path = tmp_path_factory.mktemp("model") / "journal.db"

    async def compare() -> None:
        sql, memory = SqlJournal(f"sqlite:///{file}", answer_within=20.0), MemoryJournal()
        sql_locks: list[Lock] = []
        memory_locks: list[Lock] = []
        for step in steps:
            assert await outcome(step, sql, sql_locks) == await outcome(step, memory, memory_locks)
        assert await everything(sql) == await everything(memory)
        await sql.close()

    asyncio.run(compare())
