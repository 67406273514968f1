"""The terminal and the fake pass the notifier suite; a terminal that takes nothing holds up nobody."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
from dataclasses import dataclass, field

import pytest

from canary.blocks.terminal import Terminal
from canary.plan.kinds import KINDS, Kind
from canary.ports import Notifier
from canary.testing.fakes import FakeNotifier
from canary.testing.notifier import NotifierConformance


@dataclass
class FakeStage:
    """FakeNotifier."""

    kind: Kind = KINDS["slack"]
    notifier: FakeNotifier = field(default_factory=FakeNotifier)

    def open(self) -> Notifier:
        return self.notifier

    def told(self) -> str:
        return f"{self.notifier.posts} {self.notifier.pages}"

    async def breaks(self) -> None:
        self.notifier.down = True


class TestFakeNotifier(NotifierConformance):
    """The fake."""

    @pytest.fixture
    def stage(self) -> FakeStage:
        return FakeStage()


@dataclass
class TerminalStage:
    """Terminal on a stream in memory, put in place within the test: pytest swaps stderr after its fixtures."""

    patch: pytest.MonkeyPatch
    stream: io.StringIO = field(default_factory=io.StringIO)
    kind: Kind = KINDS["terminal"]

    def open(self) -> Notifier:
        self.patch.setattr(sys, "stderr", self.stream)
        return Terminal.from_fields("terminal/local", {})

    def told(self) -> str:
        return self.stream.getvalue()

    async def breaks(self) -> None:
        self.stream.close()


class TestTerminal(NotifierConformance):
    """The adapter."""

    @pytest.fixture
    def stage(self, monkeypatch: pytest.MonkeyPatch) -> TerminalStage:
        return TerminalStage(monkeypatch)

    async def test_one_line_each_and_a_bell(self, stage: TerminalStage) -> None:
        """A message is one line whatever it holds, a page rings, and no escape sequence gets through."""
        terminal = stage.open()
        await terminal.post("r1", "two\nlines \x1b[31mred\x9b")
        receipt = await terminal.page("r1", "look")
        assert stage.told() == "[r1] two lines  [31mred\nPAGE [r1] look\a\n"
        assert (receipt.route, receipt.confirmed, receipt.detail) == ("terminal/local", False, "written")


class Paused(io.StringIO):
    """A terminal that takes nothing until it is released, as after Ctrl-S."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def write(self, text: str, /) -> int:
        self.released.wait(30)
        return super().write(text)


async def test_a_paused_terminal_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop goes on, the receipt says that the line was not written, and no thread is piled on another."""
    terminal, paused = Terminal.from_fields("terminal/local", {}), Paused()
    monkeypatch.setattr(sys, "stderr", paused)
    writing = asyncio.create_task(terminal.post("r1", "first"))
    ticks = 0
    while not writing.done():
        ticks += 1
        await asyncio.sleep(0.05)
    assert ticks > 5
    assert writing.result().detail == "not written: the terminal takes no line"
    before = threading.active_count()
    assert (await terminal.page("r1", "second")).detail == "not written: it has not taken the line before"
    assert threading.active_count() == before
    paused.released.set()
