"""Every error this project raises on purpose.

    CanaryError                 the base: one sentence of what was wrong, one of what to do next
    ├── BadUsage                exit 2: the command line or a setting is wrong
    │   ├── PlanError           every problem of a plan, each with its place
    │   ├── UnknownRollout      no such rollout in this journal
    │   ├── ServiceBusy         another rollout of the service is under way
    │   └── Refused             preflight said no; nothing was touched
    │       └── CredentialError a block is missing, or one of its fields is wrong
    ├── JournalError
    │   ├── JournalUnavailable  no answer from the store
    │   ├── Conflict            somebody appended first: read, fold and decide again
    │   └── LeaseLost           another conductor holds the service now
    ├── VaultError              sealed credentials cannot be opened
    ├── ProviderError           a platform answered, and refused
    │   ├── ProviderUnavailable no usable answer: the effect may or may not have happened
    │   └── CandidateUnhealthy  the candidate never became ready
    └── MeasurementFailed       the metrics could not be read: neither good nor bad news
        └── SelectorError       a selector is ambiguous (it matches both arms)

No message holds a secret: adapters name the block and the field, never the value.
"""

from __future__ import annotations

from collections.abc import Sequence


class CanaryError(Exception):
    """The base of the tree. `what` says what was wrong and where; `fix` what to do next."""

    exit_code = 1

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.what}\n  → {self.fix}" if self.fix else self.what


class BadUsage(CanaryError):
    """The command, a setting or a plan is wrong; nothing was started."""

    exit_code = 2


class PlanError(BadUsage):
    """A plan cannot be used. `problems` holds every problem found, in the order of the file."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"the plan has {count}:\n" + "\n".join(f"  {p}" for p in problems))


class UnknownRollout(BadUsage):
    """The journal knows no rollout of that id."""


class ServiceBusy(BadUsage):
    """A rollout of the service is under way; `running` is its id."""

    def __init__(self, service: str, running: str) -> None:
        self.running = running
        super().__init__(
            f"{service} is already being rolled out by {running}",
            f"wait for it, or stop it: canary abort {running} --reason '…'",
        )


class Refused(BadUsage):
    """Preflight said no. Nothing was touched."""


class CredentialError(Refused):
    """A block is missing, or a field of it does not work. Names the block and the field, never the value."""

    def __init__(self, block: str, field: str, why: str) -> None:
        self.block, self.field = block, field
        super().__init__(
            f"block {block}, field {field}: {why}",
            "correct the block in the Prefect UI (Blocks), or with: canary blocks apply FILE",
        )


class JournalError(CanaryError):
    """The journal could not do what it was asked."""


class JournalUnavailable(JournalError):
    """The store gave no answer, or an error that says nothing about the data."""


class Conflict(JournalError):
    """Somebody appended since the given sequence number."""


class LeaseLost(JournalError):
    """The lock's epoch moved on: this process no longer conducts the service."""


class VaultError(CanaryError):
    """Sealed credentials are missing or cannot be opened with the keys given."""


class ProviderError(CanaryError):
    """A platform answered and refused."""


class ProviderUnavailable(ProviderError):
    """A platform gave no usable answer; whether the effect happened is unknown until it is observed."""


class CandidateUnhealthy(ProviderError):
    """The candidate was prepared and never became ready."""


class MeasurementFailed(CanaryError):
    """The metrics could not be read. Not a verdict."""


class SelectorError(MeasurementFailed):
    """A selector matches both arms, or cannot be evaluated."""
