"""What every notifier must do. Subclass NotifierConformance and give it a fixture `stage`."""

from __future__ import annotations

from typing import Protocol

from canary.plan.kinds import Kind
from canary.ports import Notifier


class NotifierStage(Protocol):
    """A way to tell people, and where what they were told can be read."""

    kind: Kind

    def open(self) -> Notifier:
        """A notifier."""

    def told(self) -> str:
        """All that people were told so far."""

    async def breaks(self) -> None:
        """From now on nobody can be told."""


class NotifierConformance:
    """Messages arrive, failures are receipts, and nothing raises."""

    async def test_a_post_arrives(self, stage: NotifierStage) -> None:
        """A message is told in the words it was given, in its thread, and the receipt names the route."""
        notifier = stage.open()
        await notifier.check_connection()
        receipt = await notifier.post("rollout-7", "canary at 10 %")
        assert "canary at 10 %" in stage.told()
        assert receipt.route
        await notifier.close()

    async def test_a_page_arrives_each_time(self, stage: NotifierStage) -> None:
        """The same incident again is told again: a reminder."""
        notifier = stage.open()
        for _ in range(2):
            receipt = await notifier.page("rollout-7 held", "somebody must look")
            assert not receipt.confirmed or stage.kind.confirms
        assert stage.told().count("somebody must look") == 2
        await notifier.close()

    async def test_a_failure_is_a_receipt(self, stage: NotifierStage) -> None:
        """When nobody can be told, both verbs return a receipt that is not confirmed and says why."""
        notifier = stage.open()
        await stage.breaks()
        for receipt in (await notifier.post("rollout-7", "lost"), await notifier.page("rollout-7", "lost")):
            assert not receipt.confirmed
            assert receipt.detail
        await notifier.close()

    async def test_odd_messages(self, stage: NotifierStage) -> None:
        """Nothing in a message breaks a notifier: line breaks, control characters, nothing at all, very much."""
        notifier = stage.open()
        for message in ("", "two\nlines", "\x1b[2J\x07", "€" * 10_000):
            assert (await notifier.post("rollout-7", message)).route
        await notifier.close()
