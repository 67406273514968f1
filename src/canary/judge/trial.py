"""What one rule's evidence is, block by block, whatever kind of rule it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from canary.judge.block import Block
from canary.judge.proof import Proof


@dataclass(frozen=True, slots=True)
class Moment:
    """When a block was: its clock minute of plan time, and blocks that are left until the deadline, if known."""

    minute: int
    left: float = 0.0


class Trial(Protocol):
    """The state of one rule. Immutable: the same blocks give the same trial, however they were asked about."""

    def add(self, block: Block, moment: Moment) -> Trial:
        """With one more block; one that holds nothing of the rule's measure leaves the evidence as it is."""

    @property
    def harm(self) -> float:
        """Evidence that the rule is broken: 1 at first."""

    @property
    def fine(self) -> float:
        """Evidence that it is kept."""

    @property
    def able(self) -> bool:
        """Whether what was counted could ever show that the rule is broken."""

    def proof(self, needed_harm: float, needed_fine: float) -> Proof:
        """The numbers, for people."""

    def caveat(self) -> str:
        """What a reader must know about the comparison itself, or ""."""
