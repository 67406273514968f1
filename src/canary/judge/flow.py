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

    weighed:   what the canary should have completed if the observed share were all there is to know:
               baseline × share/(1 − share), over the blocks where both are known.
    done:      what it completed in the same blocks.
    silent:    the part of `weighed` since the last block in which the canary completed anything.
    seen_sent: requests sent to the canary (settled or pending) by the end of that block.
    seen_at:   measured blocks by the end of that block.
    """

    weighed: float = 0.0
    done: float = 0.0
    silent: float = 0.0
    seen_sent: float = 0.0
    seen_at: int = 0

    def add(self, by_arm: Mapping[Arm, Increment], share: float | None, sent: Sent, measured: int) -> Flow:
        """With one block's increments of the measure; `sent` and `measured` include the block."""
        completed = by_arm.get("canary", NONE).total
        flow = self
        if share is not None and 0 < share < 1 and "baseline" in by_arm:
            due = by_arm["baseline"].total * share / (1 - share)
            flow = Flow(self.weighed + due, self.done + completed, self.silent + due, self.seen_sent, self.seen_at)
        if not completed:
            return flow
        return replace(flow, silent=0.0, seen_sent=sent.settled + sent.pending, seen_at=measured)
