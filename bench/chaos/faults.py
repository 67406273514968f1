"""What can go wrong in a run. Each fault stands for itself, so that a run can be replayed without any one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Side = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class When:
    """So many seconds after the `nth` line of that type was journaled; type "": after the run's begin.

    before: in the moment before that line, in place of after it.
    """

    type: str
    nth: int = 1
    delay: float = 0.0
    before: bool = False


@dataclass(frozen=True, slots=True)
class Crash:
    """The process that crosses this boundary for the nth time (since the crash before) dies on the spot."""

    boundary: str
    nth: int
    side: Side


@dataclass(frozen=True, slots=True)
class Stall:
    """The process that crosses this boundary for the nth time stands still for so many seconds, then goes on."""

    boundary: str
    nth: int
    side: Side
    seconds: float


@dataclass(frozen=True, slots=True)
class ClockJump:
    """The wall clocks of conductors or of guards are wrong by so many seconds from then on."""

    when: When
    role: Literal["conductor", "guard"]
    seconds: float


@dataclass(frozen=True, slots=True)
class StoreOutage:
    """The journal answers nobody. slow: it takes 2 s to find that out, as a database does. full: it answers what is
    read of it, and takes nothing, as on a full disk."""

    when: When
    seconds: float
    slow: bool
    full: bool = False


@dataclass(frozen=True, slots=True)
class StoreAnswer:
    """What becomes of the nth write to the journal. lost: not done; unanswered: done; late: done after the caller
    has given up; slow: done and answered after `delay`."""

    nth: int
    kind: Literal["lost", "unanswered", "late", "slow"]
    delay: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What becomes of the nth change (or read) at a target.

    lost: it never arrives. unanswered: done, and no answer comes. late: done after `delay`. twice: done at once and
    again after `delay`. ignored: accepted and not done. refused: it says no. slow: a read that takes `delay`.
    """

    target: str
    verb: Literal["change", "read"]
    nth: int
    kind: Literal["lost", "unanswered", "late", "twice", "ignored", "refused", "slow"]
    delay: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """A target is unreachable, refuses every change, or its reads show for so long what is true now (lies)."""

    when: When
    target: str
    kind: Literal["unreachable", "refuses", "lies"]
    seconds: float


@dataclass(frozen=True, slots=True)
class ByHand:
    """Somebody moves a target's exposure past everybody."""

    when: When
    target: str
    share: float


@dataclass(frozen=True, slots=True)
class Blind:
    """Metrics: reads fail, hang, give nothing new, or hold no request of the candidate's."""

    when: When
    kind: Literal["fails", "hangs", "silent", "starves"]
    seconds: float


@dataclass(frozen=True, slots=True)
class Says:
    """A person's decision, or a person's `canary rollback`."""

    when: When
    what: Literal["abort", "rollback", "hold", "resume", "promote", "extend", "reject", "ack"]


Fault = Crash | Stall | ClockJump | StoreOutage | StoreAnswer | Answer | Trouble | ByHand | Blind | Says
Timed = ClockJump | StoreOutage | Trouble | ByHand | Blind | Says
