"""Fakes of the outside that pass the conformance suites, and can be told to fail as the real ones do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from canary.errors import CredentialError, MeasurementFailed, ProviderUnavailable, Refused, SelectorError
from canary.plan.model import Arms, Signal, UiCheck
from canary.ports import Access, AlertRule, Arm, Found, Increment, Receipt, Response, Scrape, Visit
from canary.testing.clock import FakeClock
from canary.testing.platform import FakePlatform, FakeTarget

__all__ = [
    "FakeBrowser",
    "FakeClock",
    "FakeDashboards",
    "FakeEvidence",
    "FakeMetrics",
    "FakeNotifier",
    "FakePlatform",
    "FakeProbe",
    "FakeTarget",
    "MemoryShelf",
]


@dataclass(slots=True)
class FakeMetrics:
    """`ports.Metrics` that reads `scrapes` (add to them as time goes).

    fails: why it cannot be read now. arms: whose scrapes they are; an arm that is not among these is absent.
    """

    scrapes: list[Scrape] = field(default_factory=list)
    fails: str = ""
    arms: Arms | None = None

    async def check_connection(self) -> None:
        """Raises MeasurementFailed while it `fails`."""
        if self.fails:
            raise MeasurementFailed(self.fails)

    async def read(self, signals: Mapping[str, Signal], arms: Arms, since: float, until: float) -> Sequence[Scrape]:
        """The scrapes with since < at ≤ until, oldest first, of the signals that were asked for."""
        await self.check_connection()
        if arms.canary == arms.baseline:
            raise SelectorError("both arms select the same series", "give them different labels")
        due = sorted((scrape for scrape in self.scrapes if since < scrape.at <= until), key=lambda s: s.at)
        return [Scrape(s.at, {n: self._of(arms, s.signals[n]) for n in signals if n in s.signals}) for s in due]

    async def close(self) -> None:
        """Nothing to close."""

    def _of(self, arms: Arms, shown: Mapping[Arm, Increment]) -> dict[Arm, Increment]:
        known = self.arms or arms
        same = {"canary": known.canary == arms.canary, "baseline": known.baseline == arms.baseline}
        return {arm: increment for arm, increment in shown.items() if same[arm]}


@dataclass(slots=True)
class FakeNotifier:
    """`ports.Notifier` that keeps what it was told; `down` makes every receipt a failure; `asleep`, it wakes nobody.

    refs: the thread that each post was put into, by its place; the first post without one begins "thread-1".
    """

    route: str = "fake/local"
    down: bool = False
    asleep: bool = False
    posts: list[tuple[str, str]] = field(default_factory=list)
    refs: list[str] = field(default_factory=list)
    pages: list[tuple[str, str]] = field(default_factory=list)
    mentions: dict[str, tuple[str, ...]] = field(default_factory=dict)

    async def check_connection(self) -> None:
        """Nothing to reach."""

    async def check_paging(self) -> None:
        """Raises CredentialError when it is `asleep`."""
        if self.asleep:
            raise CredentialError(self.route, "oncall", "a page would wake nobody")

    async def post(self, thread: str, message: str, ref: str = "", mentions: Sequence[str] = ()) -> Receipt:
        """Keeps (thread, message), and who was mentioned with which message."""
        receipt = self._keep(self.posts, thread, message)
        if not receipt.confirmed:
            return receipt
        if mentions:
            self.mentions[message] = tuple(mentions)
        self.refs.append(ref or f"thread-{len(set(self.refs)) + 1}")
        return replace(receipt, ref=self.refs[-1])

    async def page(self, incident: str, summary: str) -> Receipt:
        """Keeps (incident, summary)."""
        return self._keep(self.pages, incident, summary)

    async def close(self) -> None:
        """Nothing to close."""

    def _keep(self, where: list[tuple[str, str]], about: str, text: str) -> Receipt:
        if self.down:
            return Receipt(self.route, confirmed=False, detail="it is down")
        where.append((about, text))
        return Receipt(self.route, confirmed=True, detail="kept")


@dataclass(slots=True)
class FakeDashboards:
    """`ports.Dashboards` that keeps what it was given; `down`, it does not answer.

    reader: it may not be written. hangs: the clock on which every verb takes an hour.
    """

    down: bool = False
    reader: bool = False
    hangs: FakeClock | None = None
    documents: list[Mapping[str, Any]] = field(default_factory=list)
    rules: dict[str, tuple[AlertRule, ...]] = field(default_factory=dict)
    marks: list[tuple[str, tuple[str, ...], float]] = field(default_factory=list)

    async def check_connection(self) -> None:
        """Raises ProviderUnavailable while it is `down`."""
        await self._reached()

    async def check_writing(self) -> None:
        """Raises CredentialError when it may only be read."""
        if self.reader:
            raise CredentialError("fake/dashboards", "token", "it may not write")

    async def push(self, dashboard: Mapping[str, Any]) -> str:
        """Keeps the document."""
        await self._reached()
        self.documents.append(dashboard)
        return f"dashboard {dashboard['uid']} kept"

    async def alerts(self, group: str, rules: Sequence[AlertRule]) -> str:
        """Keeps the rules."""
        await self._reached()
        self.rules[group] = tuple(rules)
        return f"{len(rules)} alert rules kept"

    async def annotate(self, text: str, tags: Sequence[str], at: float) -> None:
        """Keeps (text, tags, at)."""
        await self._reached()
        self.marks.append((text, tuple(tags), at))

    async def close(self) -> None:
        """Nothing to close."""

    async def _reached(self) -> None:
        if self.hangs:
            await self.hangs.sleep(3600.0)
        if self.down:
            raise ProviderUnavailable("the dashboards are away", "look whether they are up")


@dataclass(slots=True)
class FakeProbe:
    """`ports.Probe` with an answer per URL; a URL without one gets no answer. `asked` is what came, in order."""

    answers: dict[str, Response] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    async def get(self, url: str, headers: Mapping[str, str]) -> Response:
        """Raises ProviderUnavailable for a URL without an answer."""
        self.asked.append((url, dict(headers)))
        if url not in self.answers:
            raise ProviderUnavailable(f"GET {url.partition('?')[0]}: no answer", "give the probe an answer for it")
        return self.answers[url]

    async def close(self) -> None:
        """Nothing to close."""


@dataclass(slots=True)
class MemoryShelf:
    """`ports.Shelf`: (rollout, name) → text. full: no document can be written."""

    documents: dict[tuple[str, str], str] = field(default_factory=dict)
    full: bool = False

    async def put(self, rollout: str, name: str, text: str) -> str:
        if self.full:
            raise OSError(28, "No space left on device")
        self.documents[rollout, name] = text
        return f"memory:{rollout}/{name}"


@dataclass(slots=True)
class FakeBrowser:
    """`ports.Browser` with a visit per page (path and query); one without gets no page. `visited` is who went where.

    lacks: what would have to be installed. hangs: the clock on which every visit takes an hour.
    """

    visits: dict[str, Visit] = field(default_factory=dict)
    visited: list[tuple[Access, str]] = field(default_factory=list)
    lacks: str = ""
    hangs: FakeClock | None = None

    async def check_connection(self) -> None:
        """Raises Refused while something is lacking."""
        if self.lacks:
            raise Refused("there is no browser", self.lacks)

    async def visit(self, access: Access, script: UiCheck) -> Visit:
        """What was prepared for the page."""
        self.visited.append((access, script.open))
        if self.hangs:
            await self.hangs.sleep(3600.0)
        if self.lacks:
            return Visit("cannot tell", "there is no browser")
        return self.visits.get(script.open, Visit("cannot tell", f"open {script.open}: no answer"))

    async def close(self) -> None:
        """Nothing to close."""


@dataclass(slots=True)
class FakeEvidence:
    """`ports.EvidenceRoom`: what is found by path, and by command (its words joined by spaces)."""

    found: dict[str, Found] = field(default_factory=dict)

    async def file(self, path: str) -> Found:
        """What was put there."""
        return self.found.get(path, Found(False, f"there is no file {path}"))

    async def command(self, argv: Sequence[str], seconds: float) -> Found:
        """What was prepared for the command."""
        return self.found.get(" ".join(argv), Found(False, f"{argv[0]} cannot be run"))
