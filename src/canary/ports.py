"""What the domain asks of the world. Adapters live in `canary.blocks` and `canary.journal`.

Shapes and units: times are unix seconds (UTC), durations seconds, shares 0–1. Every verb is idempotent:
called twice with the same arguments it leaves the world as after the first call.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from canary.plan.model import Arms, Signal, UiCheck

Arm = Literal["canary", "baseline"]
Look = Literal["passed", "failed", "cannot tell"]
NOTHING: Mapping[Any, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Release:
    """The immutable identities of one target: what is to come, and what was observed before."""

    candidate: str
    stable: str


@dataclass(frozen=True, slots=True)
class Access:
    """How an internal user reaches the prepared candidate, at exposure 0. `headers` may be secret."""

    url: str
    headers: Mapping[str, str] = field(default_factory=lambda: NOTHING, repr=False)


@dataclass(frozen=True, slots=True)
class Exposure:
    """What a target shows now: identity → share of users, 0–1, summing to 1.

    Identities that serve nobody but are reachable (an idle colour) are listed with 0.
    """

    shares: Mapping[str, float]

    def serving(self) -> str | None:
        """The one identity that serves everybody, or None when the target is split."""
        return next((identity for identity, share in self.shares.items() if share >= 1.0), None)


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether a target shows the share it was asked for. `cannot tell` = it did not answer usably.

    observed: the candidate's share of users it shows, 0–1.
    routed:   arm → requests the target has sent to that arm since it started, finished or not, where it counts
              them (a counter: it may restart from 0).
    """

    answer: Literal["yes", "no", "cannot tell"]
    observed: float | None
    detail: str
    routed: Mapping[Arm, float] | None = None


class Target(Protocol):
    """A place where a release receives traffic. All verbs raise ProviderError or ProviderUnavailable."""

    async def check_connection(self) -> None:
        """Raises CredentialError (block, field) or ProviderUnavailable."""

    async def prepare(self, release: Release) -> Access:
        """Bring the candidate up at exposure 0, reachable by internal users only.

        `release.stable` may be "" when it has not been observed yet. Raises CandidateUnhealthy.
        """

    async def observe(self) -> Exposure: ...

    async def expose(self, release: Release, share: float, epoch: int) -> None:
        """Ask for the share (0 is rollback, 1 is full). Success means accepted; `verify` tells whether it holds."""

    async def verify(self, release: Release, share: float) -> Verification:
        """Never raises ProviderError: what did not answer is `cannot tell`."""

    async def close(self) -> None: ...


@runtime_checkable
class Stepwise(Protocol):
    """What a Target has besides when users cannot be split at any share: it knows the steps that there are."""

    async def takes(self, share: float) -> None:
        """Raises Refused, naming the shares that can be shown, for one that cannot. Changes nothing."""


@dataclass(frozen=True, slots=True)
class Increment:
    """What one arm of one signal added between two consecutive scrapes.

    total:   requests, or counted opportunities (page views for a UI signal).
    bad:     of these, bad ones (0 for a histogram).
    buckets: histogram only: upper edge, in seconds (of ratios: 0–1) → observations at or below it, added since the
             last scrape.
    last:    gauge only: its value at the later scrape, summed over the arm's instances. `total` is 0 then.
    """

    total: float
    bad: float = 0.0
    buckets: Mapping[float, float] = field(default_factory=lambda: NOTHING)
    last: float | None = None


@dataclass(frozen=True, slots=True)
class Scrape:
    """All signals at one instant: signal → arm → increment. An absent arm means that nothing matched there."""

    at: float
    signals: Mapping[str, Mapping[Arm, Increment]]


class Metrics(Protocol):
    """Where measurements come from. Verbs raise MeasurementFailed (or SelectorError)."""

    async def check_connection(self) -> None:
        """Raises CredentialError or MeasurementFailed."""

    async def read(self, signals: Mapping[str, Signal], arms: Arms, since: float, until: float) -> Sequence[Scrape]:
        """Increments of the scrapes with since < at ≤ until, oldest first.

        An increment belongs to its later scrape. A counter that falls has restarted: its new value is the
        increment. A series' very first sample adds nothing. A gauge has no increments: its value is `last`.
        """

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to one probe: status, headers (lower-case names) and the first 10 MB of the body."""

    status: int
    headers: Mapping[str, str]
    body: str


class Probe(Protocol):
    """One HTTP request, for checks. Raises ProviderUnavailable when there is no answer."""

    async def get(self, url: str, headers: Mapping[str, str]) -> Response: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Visit:
    """What a scripted visit of one page showed.

    outcome: passed; failed: a page answered and `detail` names the step that did not go as the script says;
             cannot tell: no page came, or there is no browser.
    errors:  what scripts of the page threw meanwhile and nothing caught.
    views:   pages shown: opportunities for a signal of the UI that no user made.
    seconds: how long it took.
    """

    outcome: Look
    detail: str
    errors: tuple[str, ...] = ()
    views: int = 0
    seconds: float = 0.0


class Browser(Protocol):
    """Visits pages as a signed-in person would, each visit as somebody new."""

    async def check_connection(self) -> None:
        """Raises Refused, naming what to install, when no page can be visited from here."""

    async def visit(self, access: Access, script: UiCheck) -> Visit:
        """Opens the script's page, does its steps, looks at what it expects; ends within 20 s. Never raises for that.

        The headers of `access` are sent to its own origin alone.
        """

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Found:
    """What a look at a piece of evidence found. sha256: hex, of the bytes that were there; "" for none."""

    fulfilled: bool
    detail: str
    sha256: str = ""


class EvidenceRoom(Protocol):
    """The folder of evidence: its files, and the commands that are run there. Verbs never raise; they tell."""

    async def file(self, path: str) -> Found:
        """Fulfilled by a file below the folder that is not empty. sha256 of its bytes; 30 s at most."""

    async def command(self, argv: Sequence[str], seconds: float) -> Found:
        """Fulfilled by exit status 0 within so many seconds; then everything that it started in its process group
        is killed. sha256 of all it printed, which is neither kept nor shown. It sees no secret of the environment."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a message: by which route, and whether that route confirmed the delivery.

    ref: posts on a route that has threads: the place of the thread, opaque; hand it to the next `post`.
    """

    route: str
    confirmed: bool
    detail: str
    ref: str = ""


class Notifier(Protocol):
    """Where people are told. Neither verb raises: a failure is a receipt that is not confirmed."""

    async def check_connection(self) -> None:
        """Raises CredentialError."""

    async def check_paging(self) -> None:
        """Raises CredentialError when a page by this route would wake nobody. No I/O."""

    async def post(self, thread: str, message: str, ref: str = "", mentions: Sequence[str] = ()) -> Receipt:
        """A message into the rollout's thread. `ref` is the place an earlier receipt named; "" begins the thread.

        mentions: Slack's ids of the people whom the message asks; a route that is not Slack leaves them out.
        """

    async def page(self, incident: str, summary: str) -> Receipt:
        """Wake somebody. The same incident again is a reminder, not a new one."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class AlertRule:
    """For whoever evaluates PromQL: `expr` yields something while it fires. seconds: what it looks back over."""

    name: str
    expr: str
    seconds: float
    summary: str
    labels: Mapping[str, str]


class Dashboards(Protocol):
    """Where people look at measurements. Verbs raise ProviderError (also for what people made their own) or
    CredentialError; `push` and `alerts` answer one sentence of what came of it."""

    async def check_connection(self) -> None:
        """Raises CredentialError or MeasurementFailed."""

    async def check_writing(self) -> None:
        """Raises CredentialError when nothing may be put there, as far as that can be told without an effect."""

    async def push(self, dashboard: Mapping[str, Any]) -> str: ...

    async def alerts(self, group: str, rules: Sequence[AlertRule]) -> str: ...

    async def annotate(self, text: str, tags: Sequence[str], at: float) -> None:
        """Mark the moment on every dashboard that shows marks with these tags. Twice is two marks."""

    async def close(self) -> None: ...


class Shelf(Protocol):
    """Where documents about a rollout are left for people."""

    async def put(self, rollout: str, name: str, text: str) -> str:
        """Write the whole document, in place of a former one; where it stands. Raises OSError."""


class Clock(Protocol):
    """Time. `now` is unix seconds; `monotonic` never goes back and is for leases and time-outs."""

    def now(self) -> float: ...

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a journal. `epoch` is the conductor's, or 0 for a person's entry."""

    rollout: str
    seq: int
    at: float
    epoch: int
    type: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A line to append: its time, its type and its JSON data."""

    at: float
    type: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Lock:
    """The service's lock row: who conducts which rollout, under which epoch, until when."""

    service: str
    rollout: str
    epoch: int
    holder: str
    lease_until: float


BACKTESTS = "backtest:"
"""What the name of a journal's stream begins with that is no rollout's but holds the backtests of a plan's rules."""


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A resolved plan: `body` is canonical JSON, `hash` its sha256 in hex."""

    hash: str
    name: str
    service: str
    body: str


class Journal(Protocol):
    """The append-only record that decides what happened, the lock, and the plans. Every verb raises
    JournalUnavailable when the store does not answer in time."""

    async def append(
        self, rollout: str, after: int, entries: Sequence[NewEntry], fence: Lock | None = None
    ) -> Sequence[Entry]:
        """Append behind sequence number `after`, all or nothing, in one short transaction.

        Raises Conflict when `after` is not the newest number any more, and LeaseLost when `fence` is given and
        its epoch is not the lock row's. Entries get the fence's epoch, or 0.
        """

    async def read(self, rollout: str, after: int = 0) -> Sequence[Entry]:
        """Entries with seq > after, in order; empty for an unknown rollout."""

    def lines(self, rollout: str, after: int = 0) -> AsyncIterator[Entry]:
        """What `read` gives, one by one and never all in memory, for whoever goes through a whole journal. Several
        questions to the store: JournalUnavailable may come after some entries, and what is appended meanwhile, too."""

    async def rollouts(self) -> Sequence[str]:
        """Ids of all rollouts, newest first; streams of BACKTESTS are none."""

    async def store_plan(self, plan: StoredPlan) -> None: ...

    async def plan(self, plan_hash: str) -> StoredPlan | None: ...

    async def plan_named(self, name: str) -> StoredPlan | None:
        """The plan of that name stored last."""

    async def take(self, service: str, rollout: str, holder: str, now: float, lease: float) -> Lock:
        """Take the service's lock with a new epoch (the old one + 1; the first is 1).

        Raises ServiceBusy while another rollout holds the service, and LeaseLost while another holder's lease
        on this rollout is still running. The same holder may take again.
        """

    async def renew(self, lock: Lock, now: float, lease: float) -> Lock:
        """Lengthen the lease to now + lease. Raises LeaseLost when the epoch moved on."""

    async def yield_lease(self, lock: Lock) -> None:
        """End the lease at once, keep the rollout: somebody else may take it. Nothing when the epoch moved on."""

    async def release(self, lock: Lock) -> None:
        """The rollout is over: the service is free. Nothing when the epoch moved on."""

    async def locks(self) -> Sequence[Lock]:
        """The lock of every service that is being rolled out."""

    async def close(self) -> None: ...


class Vault(Protocol):
    """Sealed credentials beside the journal: block reference → fields. Raises VaultError, JournalUnavailable."""

    async def seal(self, rollout: str, fields: Mapping[str, Mapping[str, Any]]) -> None:
        """Store the fields of every block the rollout can need, encrypted; replaces what was sealed before."""

    async def open(self, rollout: str) -> Mapping[str, Mapping[str, Any]]: ...

    async def drop(self, rollout: str) -> None: ...
