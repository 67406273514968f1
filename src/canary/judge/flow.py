"""What the canary was sent, and what it completed: the state of the starvation guard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from canary.judge.block import NONE, Block
from canary.ports import Arm, Increment


@dataclass(frozen=True, slots=True)
class Sent:
    """What the target says it sent to the canary, for the starvation guard.

    settled: had a scrape's time to finish and be counted: sent before the newest measured block.
    pending: sent since; they may be in flight, or finished and not yet scraped.
    blocks:  blocks in which the target counted at all.
    """

    settled: float = 0.0
    pending: float = 0.0
    blocks: int = 0

    def add(self, block: Block) -> Sent:
        counted = (block.routed or {}).get("canary")
        now, blocks = counted or 0.0, self.blocks + (counted is not None)
        if not block.scrapes:
            return Sent(self.settled, self.pending + now, blocks)
        return Sent(self.settled + self.pending, now, blocks)


@dataclass(frozen=True, slots=True)
class Flow:
    """How steadily the canary completes what one measure counts, for the starvation guard.

    The arms are scraped at different times, each perhaps once a minute: what is due is compared with what was
    completed at the canary's own samples, and waits in between.

    weighed:    what the canary should have completed by its last sample if the observed share were all there is to
                know: baseline × share/(1 − share), over the blocks whose share is known.
    done:       what it completed in blocks whose share is known.
    silent:     the part of `weighed` since the last block in which the canary completed anything.
    waiting:    what more was due since its last sample.
    settled:    what had been sent, and had time, by its last sample.
    sampled_at: measured blocks by the end of the block with its last sample.
    seen_sent:  requests sent to the canary (settled or pending) by the end of the last block in which it completed any.
    seen_at:    measured blocks by the end of that block.
    """

    weighed: float = 0.0
    done: float = 0.0
    silent: float = 0.0
    waiting: float = 0.0
    settled: float = 0.0
    sampled_at: int = 0
    seen_sent: float = 0.0
    seen_at: int = 0

    def add(self, by_arm: Mapping[Arm, Increment], share: float | None, sent: Sent, measured: int) -> Flow:
        """With one block's increments of the measure; `sent` and `measured` include the block."""
        flow = self
        if share is not None and 0 < share < 1:
            due = by_arm.get("baseline", NONE).total * share / (1 - share)
            flow = replace(flow, waiting=flow.waiting + due, done=flow.done + by_arm.get("canary", NONE).total)
        return flow._sampled(by_arm["canary"].total, sent, measured) if "canary" in by_arm else flow

    def at_once(self, sent: Sent, measured: int) -> Flow:
        """As if the canary had been sampled now and had completed nothing: it has not been seen for too long."""
        return self._sampled(0.0, sent, measured)

    def _sampled(self, completed: float, sent: Sent, measured: int) -> Flow:
        weighed, silent = self.weighed + self.waiting, self.silent + self.waiting
        settled, everything = sent.settled, sent.settled + sent.pending
        if completed:
            return Flow(weighed, self.done, 0.0, 0.0, settled, measured, everything, measured)
        return Flow(weighed, self.done, silent, 0.0, settled, measured, self.seen_sent, self.seen_at)
