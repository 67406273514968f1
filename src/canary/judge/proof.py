"""What a statistical verdict rests on, in numbers that can be checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Proof:
    """harm, fine: the evidence that the rule is broken, and that it is kept (1 at first; it is rightly above 1/α
    with a chance of α at most). needed_harm, needed_fine: what each must reach.

    of: what `value`, `low`, `high` and `seen` are: the canary's "share" of bad events, or its "ratio" to the
    baseline (odds). low, high: not yet disproved, 95 % at every look; high None: nothing limits it yet.
    seen: the smallest harm that would have been found by now; None: none.
    Raises ValueError for numbers that cannot be.
    """

    of: Literal["share", "ratio"]
    harm: float
    needed_harm: float
    fine: float
    needed_fine: float
    value: float | None
    low: float
    high: float | None
    seen: float | None

    def __post_init__(self) -> None:
        numbers = (self.harm, self.needed_harm, self.fine, self.needed_fine, self.value, self.low, self.high, self.seen)
        if not all(number is None or (math.isfinite(number) and number >= 0) for number in numbers):
            raise ValueError(f"evidence is finite and never negative: {self}")

    def to_data(self) -> dict[str, Any]:
        """JSON data; `Proof(**data)` is equal."""
        return asdict(self)


def proof_from(data: Mapping[str, Any] | None) -> Proof | None:
    """The proof of `to_data`; None of a verdict that has none."""
    return Proof(**data) if data else None
