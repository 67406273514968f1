"""What a judge says: one verdict a rule, and the worst of them for the phase."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from canary.judge.block import Tally, tally_data, tally_from
from canary.judge.proof import Proof, proof_from


class Outcome(StrEnum):
    """PASS: shown to hold. UNDECIDED: too little to tell. NO_DATA: nothing counted. FAIL: shown to be broken."""

    PASS = "PASS"
    UNDECIDED = "UNDECIDED"
    NO_DATA = "NO_DATA"
    FAIL = "FAIL"


Unit = Literal["share", "seconds", "events", "requests", "evidence"]
RISING = (Outcome.PASS, Outcome.UNDECIDED, Outcome.NO_DATA, Outcome.FAIL)
NAMED = 3
"""Reasons that a phase's reason repeats; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rule's verdict with the numbers it rests on.

    value, limit: what was measured and what it was held against, in `unit`; None where there is none.
    canary, baseline: what was counted; None for an arm that does not matter here or never matched.
    reason: one sentence with the numbers.
    proof: what a statistical verdict rests on; None of a rule that is taken literally.
    Raises ValueError when outcome and numbers contradict each other.
    """

    rule: str
    measure: str
    outcome: Outcome
    value: float | None
    limit: float | None
    unit: Unit
    canary: Tally | None
    baseline: Tally | None
    reason: str
    proof: Proof | None = None

    def __post_init__(self) -> None:
        if not self.reason:
            raise ValueError(f"the verdict on {self.rule!r} gives no reason")
        if not all(number is None or math.isfinite(number) for number in (self.value, self.limit)):
            raise ValueError(f"the verdict on {self.rule!r} holds a number that is none: {self.value}, {self.limit}")
        if self.outcome in (Outcome.PASS, Outcome.UNDECIDED) and not self._counted:
            raise ValueError(f"the verdict on {self.rule!r} is {self.outcome} and yet an arm it needs has no samples")
        if self.outcome is Outcome.NO_DATA and self._counted:
            raise ValueError(f"the verdict on {self.rule!r} is NO_DATA and yet every arm it needs has samples")

    @property
    def _counted(self) -> bool:
        """Whether the canary, and the baseline where it is compared with, counted anything."""
        needed = [self.canary] if self.baseline is None else [self.canary, self.baseline]
        return all(tally is not None and (tally.total > 0 or tally.last is not None) for tally in needed)

    def to_data(self) -> dict[str, Any]:
        """JSON data; `from_data` gives back an equal verdict."""
        return {
            "rule": self.rule,
            "measure": self.measure,
            "outcome": str(self.outcome),
            "value": self.value,
            "limit": self.limit,
            "unit": self.unit,
            "canary": tally_data(self.canary) if self.canary else None,
            "baseline": tally_data(self.baseline) if self.baseline else None,
            "reason": self.reason,
            **({"proof": self.proof.to_data()} if self.proof else {}),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Verdict:
        canary, baseline = (tally_from(data[arm]) if data[arm] else None for arm in ("canary", "baseline"))
        return cls(
            rule=data["rule"],
            measure=data["measure"],
            outcome=Outcome(data["outcome"]),
            value=data["value"],
            limit=data["limit"],
            unit=data["unit"],
            canary=canary,
            baseline=baseline,
            reason=data["reason"],
            proof=proof_from(data.get("proof")),
        )


@dataclass(frozen=True, slots=True)
class PhaseVerdict:
    """The verdict on a phase: the worst of its rules' (FAIL, then NO_DATA, then UNDECIDED), and why.

    Raises ValueError when `outcome` is not the worst of `verdicts`, or there is none.
    """

    outcome: Outcome
    verdicts: tuple[Verdict, ...]
    reason: str

    def __post_init__(self) -> None:
        if self.outcome is not _worst(self.verdicts):
            raise ValueError(f"the phase is {self.outcome}, its worst verdict {_worst(self.verdicts)}")

    @classmethod
    def of(cls, verdicts: Sequence[Verdict]) -> PhaseVerdict:
        worst = _worst(verdicts)
        if worst is Outcome.PASS:
            return cls(worst, tuple(verdicts), f"all {len(verdicts)} rules hold")
        # A criterion and a trigger on the same measure may fail for the same reason: it is said once.
        reasons = list(dict.fromkeys(verdict.reason for verdict in verdicts if verdict.outcome is worst))
        more = [f"and {len(reasons) - NAMED} more"] if len(reasons) > NAMED else []
        return cls(worst, tuple(verdicts), "; ".join(reasons[:NAMED] + more))

    def to_data(self) -> dict[str, Any]:
        """JSON data; `from_data` gives back an equal verdict."""
        verdicts = [verdict.to_data() for verdict in self.verdicts]
        return {"outcome": str(self.outcome), "verdicts": verdicts, "reason": self.reason}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> PhaseVerdict:
        verdicts = tuple(Verdict.from_data(verdict) for verdict in data["verdicts"])
        return cls(Outcome(data["outcome"]), verdicts, data["reason"])


def _worst(verdicts: Sequence[Verdict]) -> Outcome:
    if not verdicts:
        raise ValueError("a phase without a single verdict proves nothing")
    return max((verdict.outcome for verdict in verdicts), key=RISING.index)
