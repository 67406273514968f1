"""A platform in memory that fails in the ways real ones do, and the target that reaches it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Literal

from canary.errors import CandidateUnhealthy, ProviderError, ProviderUnavailable
from canary.ports import Access, Clock, Exposure, Release, Verification

TIMEOUT = 6.0
"""Seconds after which a target gives up on a platform that does not answer."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One change that a target asked for, whether or not it had an effect."""

    at: float
    release: Release
    share: float
    epoch: int


@dataclass(frozen=True, slots=True)
class _State:
    stable: str
    candidate: str | None = None
    share: float = 0.0


@dataclass(slots=True)
class FakePlatform:
    """Several FakeTargets (of a conductor, a guard, a person) may reach one platform.

    Knobs:
    unreachable:    no request arrives; each costs its sender the time-out.
    refuses:        the platform's words while it answers every change with a refusal.
    lose_answers:   how many of the next changes happen without their answer arriving.
    delay:          seconds from a change's request to its effect; beyond the time-out the sender has given up.
    candidate_dead: the candidate does not answer; its share of users stays.
    """

    clock: Clock
    stable: str
    share_type: Literal["fraction", "boolean"] = "fraction"
    unreachable: bool = False
    refuses: str = ""
    lose_answers: int = 0
    delay: float = 0.0
    candidate_dead: bool = False
    sent: list[Sent] = field(default_factory=list)
    _state: _State = field(init=False)
    _late: list[tuple[float, float]] = field(default_factory=list)
    _lie: tuple[float, _State] | None = None
    _routed: list[float] = field(default_factory=lambda: [0.0, 0.0])

    def __post_init__(self) -> None:
        self._state = _State(self.stable)

    def share(self) -> float:
        """The candidate's true share of users now, whatever reads are told."""
        self._land()
        return self._state.share

    def change_by_hand(self, share: float) -> None:
        """Somebody moves the exposure past every target."""
        self._land()
        self._state = replace(self._state, share=share)

    def lie(self, seconds: float) -> None:
        """For that long, reads show what is true now."""
        self._land()
        self._lie = (self.clock.now() + seconds, self._state)

    def serve(self, requests: float) -> None:
        """Users send that many requests; they are routed as the exposure is now."""
        share = self.share()
        self._routed[0] += requests * share
        self._routed[1] += requests * (1 - share)

    def seen(self) -> _State:
        """What a read shows: the truth, or the lie of the moment."""
        self._land()
        if self._lie and self.clock.now() < self._lie[0]:
            return self._lie[1]
        return self._state

    def routed(self) -> tuple[float, float]:
        """Requests to canary and baseline so far."""
        return self._routed[0], self._routed[1]

    def place(self, release: Release) -> None:
        """The candidate runs beside what serves everybody now."""
        self._land()
        if self._state.candidate == release.candidate:
            return
        if 0 < self._state.share < 1:
            raise ProviderError(f"{self._state.candidate} is half rolled out", "send everybody to one version first")
        serving = self._state.candidate if self._state.share == 1 else self._state.stable
        self._state = _State(stable=serving or self.stable, candidate=release.candidate)

    async def change(self, sent: Sent) -> None:
        """Takes effect now, late or never, and answers or not, as the knobs say."""
        self.sent.append(sent)
        await self.reached()
        if self.refuses:
            raise ProviderError(f"the platform refuses: {self.refuses}", "look at the platform")
        share = sent.share if self.share_type == "fraction" else float(sent.share > 0)
        self._late.append((sent.at + self.delay, share))
        if self.lose_answers:
            self.lose_answers -= 1
            await self.unanswered()
        if self.delay > TIMEOUT:
            await self.unanswered()
        await self.clock.sleep(self.delay)
        self._land()

    async def reached(self) -> None:
        """Raises ProviderUnavailable, after the time-out, while the platform is unreachable."""
        if self.unreachable:
            await self.unanswered()

    async def unanswered(self) -> None:
        """Raises ProviderUnavailable after the time-out."""
        await self.clock.sleep(TIMEOUT)
        raise ProviderUnavailable(f"the platform gave no answer within {TIMEOUT:g} s", "look at the platform")

    def _land(self) -> None:
        now = self.clock.now()
        # Stable: of two that land together, the one asked for later wins.
        for _, share in sorted((change for change in self._late if change[0] <= now), key=itemgetter(0)):
            self._state = replace(self._state, share=share)
        self._late = [change for change in self._late if change[0] > now]


@dataclass(frozen=True, slots=True)
class FakeTarget:
    """`ports.Target` on a FakePlatform."""

    platform: FakePlatform

    async def check_connection(self) -> None:
        """Raises ProviderUnavailable while the platform is unreachable."""
        await self.platform.reached()

    async def prepare(self, release: Release) -> Access:
        """The candidate runs at exposure 0. Raises CandidateUnhealthy while it is dead."""
        await self.platform.reached()
        if self.platform.candidate_dead:
            raise CandidateUnhealthy(f"{release.candidate} is not ready", "look at its log")
        self.platform.place(release)
        return Access("http://fake.invalid", {"x-fake-internal": "yes"})

    async def observe(self) -> Exposure:
        """The identities and shares that the platform shows."""
        await self.platform.reached()
        seen = self.platform.seen()
        if seen.candidate is None:
            return Exposure({seen.stable: 1.0})
        return Exposure({seen.stable: 1.0 - seen.share, seen.candidate: seen.share})

    async def expose(self, release: Release, share: float, epoch: int) -> None:
        """Asks the platform, which has no precondition."""
        if share > 0 and self.platform.seen().candidate != release.candidate:
            raise ProviderError(f"{release.candidate} does not run there", "prepare it first")
        await self.platform.change(Sent(self.platform.clock.now(), release, share, epoch))

    async def verify(self, release: Release, share: float) -> Verification:
        """What the platform shows, held against what was asked."""
        try:
            await self.platform.reached()
        except ProviderError as error:
            return Verification("cannot tell", None, error.what)
        seen = self.platform.seen()
        asked = share if self.platform.share_type == "fraction" else float(share > 0)
        holds = abs(seen.share - asked) < 1e-9 and (share == 0 or seen.candidate == release.candidate)
        canary, baseline = self.platform.routed()
        counts = self.platform.share_type == "fraction"
        return Verification(
            "yes" if holds else "no",
            seen.share,
            f"{seen.candidate} has {seen.share:.2%}",
            {"canary": canary, "baseline": baseline} if counts else None,
        )

    async def close(self) -> None:
        """Nothing to close."""
