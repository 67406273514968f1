"""A platform that serves users, and answers as the run's faults say; its true exposure is on record."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bench.chaos.faults import Answer
from bench.chaos.life import Life
from bench.chaos.store import LOOKED, Looked
from canary.errors import CandidateUnhealthy, ProviderError, ProviderUnavailable
from canary.ports import Access, Exposure, Release, Verification

TIMEOUT = 6.0
Why = Literal["request", "hand"]


@dataclass(frozen=True, slots=True)
class Sent:
    """One change that a process sent. `looked` is its last look into the journal before that."""

    at: float
    life: Life
    target: str
    share: float
    epoch: int
    looked: Looked
    frozen: float


@dataclass(frozen=True, slots=True)
class Changed:
    """From then on the candidate truly had that share."""

    at: float
    share: float
    why: Why


@dataclass(frozen=True, slots=True)
class Seen:
    """A read that reached a process: what it showed, and whether that was true."""

    at: float
    life: Life
    share: float
    true: bool


@dataclass
class Platform:
    """`history` is the truth; `sent` and `seen` what the processes did about it."""

    name: str
    answers: Mapping[tuple[str, int], Answer]
    stable: str = "1.0.0"
    candidate: str | None = None
    history: list[Changed] = field(default_factory=lambda: [Changed(0.0, 0.0, "request")])
    sent: list[Sent] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    placed: int = 0
    unreachable_until: float = 0.0
    refuses_until: float = 0.0
    lies_until: float = 0.0
    lie: float = 0.0
    counted: dict[str, int] = field(default_factory=lambda: {"change": 0, "read": 0})
    hit: set[Answer] = field(default_factory=set)

    @property
    def share(self) -> float:
        return self.history[-1].share

    def becomes(self, share: float, why: Why = "request") -> None:
        self.history.append(Changed(_now(), share, why))
        if why == "hand":
            self.lies_until = 0.0

    def lies(self, seconds: float) -> None:
        self.lie, self.lies_until = self.share, _now() + seconds

    async def change(self, share: float) -> None:
        """Takes effect now, late, twice or never, and answers or not."""
        answer = await self._answer("change")
        if _now() < self.refuses_until or (answer and answer.kind == "refused"):
            raise ProviderError("the platform refuses")
        match answer.kind if answer else "":
            case "unanswered":
                self.becomes(share)
                await _unanswered()
            case "late" if answer:
                asyncio.get_running_loop().call_later(answer.delay, self.becomes, share)
                await asyncio.sleep(min(answer.delay, TIMEOUT))
                if answer.delay >= TIMEOUT:
                    raise _no_answer()
            case "twice" if answer:
                self.becomes(share)
                asyncio.get_running_loop().call_later(answer.delay, self.becomes, share)
            case "ignored":
                return
            case _:
                self.becomes(share)

    async def read(self) -> float:
        """The share that is shown."""
        answer = await self._answer("read")
        if answer and answer.kind == "refused":
            raise ProviderError("the platform refuses")
        if answer and answer.kind == "slow":
            await asyncio.sleep(answer.delay)
        return self.lie if _now() < self.lies_until else self.share

    async def _answer(self, verb: Literal["change", "read"]) -> Answer | None:
        self.counted[verb] += 1
        if _now() < self.unreachable_until:
            await _unanswered()
        answer = self.answers.get((verb, self.counted[verb]))
        if answer:
            self.hit.add(answer)
            if answer.kind == "lost":
                await _unanswered()
        return answer


@dataclass(frozen=True, slots=True)
class ProcessTarget:
    """`ports.Target` of one process."""

    life: Life
    platform: Platform

    async def check_connection(self) -> None:
        await self.platform.read()

    async def prepare(self, release: Release) -> Access:
        async def effect() -> Access:
            if _now() < self.platform.unreachable_until:
                await _unanswered()
            if _now() < self.platform.refuses_until:
                raise CandidateUnhealthy("the candidate never became ready")
            self.platform.placed += self.platform.candidate != release.candidate
            self.platform.candidate = release.candidate
            return Access("http://candidate.invalid")

        return await self.life.cross(("prepare",), effect)

    async def observe(self) -> Exposure:
        if self.life.stopped:
            await self.life.thaw()
        share = await self.platform.read()
        identities = {self.platform.stable: 1.0 - share}
        return Exposure(identities | ({self.platform.candidate: share} if self.platform.candidate else {}))

    async def expose(self, release: Release, share: float, epoch: int) -> None:
        name = (f"expose {'up' if share else 'down'}",)
        looked = LOOKED.get()

        async def effect() -> None:
            here = (looked, self.life.frozen_seconds)
            self.platform.sent.append(Sent(_now(), self.life, self.platform.name, share, epoch, *here))
            await self.platform.change(share)

        await self.life.cross(name, effect)

    async def verify(self, release: Release, share: float) -> Verification:
        if self.life.stopped:
            await self.life.thaw()
        try:
            seen = await self.platform.read()
        except ProviderError as error:
            return Verification("cannot tell", None, error.what)
        if self.life.stopped:
            await self.life.thaw()
        self.platform.seen.append(Seen(_now(), self.life, seen, seen == self.platform.share))
        return Verification("yes" if abs(seen - share) < 1e-9 else "no", seen, f"the candidate has {seen:.0%}")

    async def close(self) -> None:
        """Nothing to close."""


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _unanswered() -> None:
    await asyncio.sleep(TIMEOUT)
    raise _no_answer()


def _no_answer() -> ProviderUnavailable:
    return ProviderUnavailable("the platform gave no answer")
