"""What a phase has measured so far: its blocks, folded one by one.

Whoever folds the same blocks has the same evidence; a judge that keeps a state of its own folds it from the
same blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from canary.judge.block import Block, Tally, gather
from canary.judge.flow import Flow, Sent
from canary.ports import NOTHING, Arm

__all__ = ["Block", "Evidence", "Tally"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All blocks of a phase, folded. `add` costs the size of one block, however long the phase.

    trail:    the phase's blocks, oldest first. before: those of each earlier phase with users.
    tallies:  measure → arm → what was counted; an arm that never matched is absent.
    blocks:   blocks folded; `measured` of them held a scrape. `last_at` is the newest one's time.
    """

    tallies: Mapping[str, Mapping[Arm, Tally]] = field(default_factory=lambda: NOTHING)
    flows: Mapping[str, Flow] = field(default_factory=lambda: NOTHING)
    sent: Sent = field(default_factory=Sent)
    blocks: int = 0
    measured: int = 0
    last_at: float | None = None
    trail: tuple[Block, ...] = ()
    before: tuple[tuple[Block, ...], ...] = ()

    def add(self, block: Block) -> Evidence:
        """With one more block. A block that is not newer than the last is a repetition, and ignored."""
        if self.last_at is not None and block.at <= self.last_at:
            return self
        sent, measured = self.sent.add(block), self.measured + bool(block.scrapes)
        tallies, flows = dict(self.tallies), dict(self.flows)
        for measure, by_arm in block.increments.items():
            tallies[measure] = gather(dict(tallies.get(measure, {})), by_arm)
            flows[measure] = flows.get(measure, Flow()).add(by_arm, block.share, sent, measured)
        trail = (*self.trail, replace(block, watched=NOTHING) if block.watched else block)
        return Evidence(tallies, flows, sent, self.blocks + 1, measured, block.at, trail, self.before)

    def next_phase(self) -> Evidence:
        """Nothing measured yet, after what this one has."""
        return Evidence(before=(*self.before, self.trail) if self.trail else self.before)

    def tally(self, measure: str, arm: Arm) -> Tally | None:
        """None when nothing ever matched."""
        return self.tallies.get(measure, {}).get(arm)
