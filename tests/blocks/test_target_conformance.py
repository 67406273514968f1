"""Every target passes the suite: the fakes, and the adapters against local servers that speak their wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from canary.blocks.registry import open_block
from canary.plan.kinds import KINDS, Kind
from canary.ports import Clock, Release, Target
from canary.testing.fakes import FakeClock, FakePlatform, FakeTarget
from canary.testing.flags import FakeFlags, FakeFlagTarget
from canary.testing.target import TargetConformance


@dataclass
class FakeStage:
    """A FakePlatform as a stage."""

    kind: Kind
    platform: FakePlatform
    release: Release

    def open(self) -> Target:
        return FakeTarget(self.platform)

    async def candidate_dies(self) -> None:
        self.platform.candidate_dead = True

    async def platform_goes(self) -> None:
        self.platform.unreachable = True


class TestFakeFraction(TargetConformance):
    """The fake that splits users."""

    @pytest.fixture
    def stage(self) -> FakeStage:
        return FakeStage(KINDS["envoy"], FakePlatform(FakeClock(), "1.0"), Release("1.1", "1.0"))


class TestFakeBoolean(TargetConformance):
    """The fake that knows on and off."""

    @pytest.fixture
    def stage(self) -> FakeStage:
        platform = FakePlatform(FakeClock(), "1.0", share_type="boolean")
        return FakeStage(KINDS["flags"], platform, Release("1.1", "1.0"))


@dataclass
class FlagStage:
    """Flags in memory as a stage."""

    kind: Kind
    flags: FakeFlags
    release: Release

    def open(self) -> Target:
        return FakeFlagTarget(self.flags)

    async def candidate_dies(self) -> None:
        """Flags have nothing that runs."""

    async def platform_goes(self) -> None:
        self.flags.unreachable = True


class TestFakeFlags(TargetConformance):
    """The fake that keeps a document of flags."""

    @pytest.fixture
    def stage(self) -> FlagStage:
        flags = FakeFlags(FakeClock(), {"new": False, "old": True})
        return FlagStage(KINDS["flags"], flags, Release('{"new":true}', '{"new":false,"old":true}'))


@dataclass
class ServedStage:
    """A local server as a stage; the server is an Envoy or a flag service."""

    kind: Kind
    release: Release
    ref: str
    server: Any
    misbehaviour: Any
    clock: Clock

    def open(self) -> Target:
        block: Any = open_block(self.ref, self.server.fields(), self.clock)
        again: Any = open_block(self.ref, block.fields(), self.clock)
        return again

    async def candidate_dies(self) -> None:
        getattr(self.server, "versions", {}).pop("green", None)

    async def platform_goes(self) -> None:
        self.server.misbehave = self.misbehaviour.cut


class TestEnvoyRoute(TargetConformance):
    """EnvoyRoute on a stateful fake of Envoy's admin API."""

    @pytest.fixture
    def stage(self, envoy: Any, misbehaviour: Any) -> ServedStage:
        release = Release("2.1.0", "2.0.9")
        return ServedStage(KINDS["envoy"], release, "envoy/api", envoy, misbehaviour, FakeClock())


class TestFlagService(TargetConformance):
    """FlagService on a fake flag service."""

    @pytest.fixture
    def stage(self, flags: Any, misbehaviour: Any) -> ServedStage:
        stable = '{"NEXT_PUBLIC_ENABLE_FORECAST":true,"phase1_enabled":false}'
        release = Release('{"phase1_enabled":true}', stable)
        return ServedStage(KINDS["flags"], release, "flags/docflow", flags, misbehaviour, FakeClock())
