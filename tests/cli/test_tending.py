"""What the guard says while it looks for lost reviews: each trouble once, and it ends nothing."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from canary.cli.running import TEND_EVERY, _tending
from canary.testing.fakes import FakeClock


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the next looks find: names, or an error to raise; the last one again and again."""
    found: list[Any] = []

    class Lost:
        def __init__(self, stores: Any) -> None: ...

        async def make_again(self) -> list[str]:
            now = found.pop(0) if len(found) > 1 else found[0]
            if isinstance(now, Exception):
                raise now
            return list(now)

    monkeypatch.setattr("canary.tasks.missing.LostRuns", Lost)
    return found


async def said(clock: FakeClock, looks: int, capsys: pytest.CaptureFixture[str]) -> list[str]:
    stores: Any = SimpleNamespace(clock=clock)
    tending = asyncio.create_task(_tending(stores))
    await clock.sleep(TEND_EVERY * (looks - 0.5))
    tending.cancel()
    return capsys.readouterr().err.splitlines()


async def test_a_trouble_is_said_once_and_again_when_it_is_new(
    answers: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Prefect is away for two looks, then there, then away in another way; nothing ends the looking."""
    answers += [ConnectionError("x"), ConnectionError("x"), ["review:r1"], OSError("a secret"), []]
    lines = await said(FakeClock(), 5, capsys)
    assert [line.split(";")[0] for line in lines] == [
        "lost reviews cannot be looked for (ConnectionError)",
        "was missing, and is made again: review:r1",
        "lost reviews cannot be looked for (OSError)",
    ]
