"""Flags in memory: a document of booleans that everybody reads, and the target that switches it."""

from __future__ import annotations

from dataclasses import dataclass, field

from canary.blocks.flag_document import Flags, canonical, compare, document, of, wanted
from canary.errors import ProviderError, ProviderUnavailable
from canary.ports import Access, Clock, Exposure, Release, Verification
from canary.testing.platform import TIMEOUT

REF = "fake/flags"


@dataclass(slots=True)
class FakeFlags:
    """The service. Several FakeFlagTargets may reach it.

    unreachable: no request arrives; each costs its sender the time-out. refuses: its words while it changes nothing.
    sent: (when, what) of every change that was asked for.
    """

    clock: Clock
    now: Flags
    unreachable: bool = False
    refuses: str = ""
    sent: list[tuple[float, Flags]] = field(default_factory=list)

    async def reached(self) -> None:
        """Raises ProviderUnavailable, after the time-out, while it is unreachable."""
        if self.unreachable:
            await self.clock.sleep(TIMEOUT)
            raise ProviderUnavailable(f"{REF} gave no answer within {TIMEOUT:g} s", "look at the flags")


@dataclass(frozen=True, slots=True)
class FakeFlagTarget:
    """`ports.Target` on FakeFlags: any share above 0 is "on"."""

    flags: FakeFlags

    async def check_connection(self) -> None:
        """Raises ProviderUnavailable while the service is unreachable."""
        await self.flags.reached()

    async def prepare(self, release: Release) -> Access:
        """Nothing to start. Raises ProviderError for a flag that is not there."""
        await self.flags.reached()
        of(self.flags.now, document(release.candidate), REF)
        return Access("", {})

    async def observe(self) -> Exposure:
        """The whole document, which serves everybody."""
        await self.flags.reached()
        return Exposure({canonical(self.flags.now): 1.0})

    async def expose(self, release: Release, share: float, epoch: int) -> None:
        """The candidate's values, or stable's of the same flags."""
        del epoch
        changes = wanted(release, share, REF)
        self.flags.sent.append((self.flags.clock.now(), changes))
        await self.flags.reached()
        if self.flags.refuses:
            raise ProviderError(f"{REF} refuses: {self.flags.refuses}", "look at the flags")
        self.flags.now = {**self.flags.now, **changes}

    async def verify(self, release: Release, share: float) -> Verification:
        """The candidate's flags as they are."""
        try:
            await self.flags.reached()
            return compare(release, share, self.flags.now, REF)
        except ProviderError as error:
            return Verification("cannot tell", None, error.what)

    async def close(self) -> None:
        """Nothing to close."""
