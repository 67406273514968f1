"""VercelProject and GlobalConfig pass what every target must, and come out of the vault as they went in."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from canary.blocks.registry import open_block
from canary.journal.store import SqlJournal
from canary.journal.vault import SqlVault
from canary.plan.kinds import KINDS, Kind
from canary.ports import Release, Target
from canary.testing.fakes import FakeClock
from canary.testing.global_config import GlobalConfigs
from canary.testing.target import TargetConformance
from canary.testing.vercel import Vercel

RELEASE = Release("dpl_candidate", "dpl_stable")
FLAGS = Release('{"phase1_enabled":true}', '{"NEXT_PUBLIC_ENABLE_FORECAST":true,"phase1_enabled":false}')


@dataclass
class VendorStage:
    """A vendor's local server as a stage. dies: what makes the candidate answer nobody."""

    ref: str
    release: Release
    server: Any
    dies: Callable[[], None]

    @property
    def kind(self) -> Kind:
        return KINDS[self.ref.partition("/")[0]]

    def open(self) -> Target:
        block: Any = open_block(self.ref, self.server.fields(), FakeClock())
        again: Any = open_block(self.ref, block.fields(), FakeClock())
        return again

    async def candidate_dies(self) -> None:
        self.dies()

    async def platform_goes(self) -> None:
        self.server.knobs.down = True


class TestVercelById(TargetConformance):
    """A candidate named by its deployment's id; dead, its deployment is gone."""

    @pytest.fixture
    def stage(self, vercel: Vercel) -> VendorStage:
        return VendorStage("vercel/docflow", RELEASE, vercel, lambda: vercel.prune("dpl_candidate"))


class TestVercelByVersion(TargetConformance):
    """A candidate named by the version in its metadata."""

    @pytest.fixture
    def stage(self, vercel: Vercel) -> VendorStage:
        release = Release("2.1.0", "dpl_stable")
        return VendorStage("vercel/docflow", release, vercel, lambda: vercel.prune("dpl_candidate"))


class TestVercelWhileDomainsMove(TargetConformance):
    """The platform takes its time to move the domains."""

    @pytest.fixture
    def stage(self, vercel: Vercel) -> VendorStage:
        vercel.move_looks = 3
        return VendorStage("vercel/docflow", RELEASE, vercel, lambda: vercel.prune("dpl_candidate"))


class TestGlobalConfig(TargetConformance):
    """The new path of the API."""

    @pytest.fixture
    def stage(self, configs: GlobalConfigs) -> VendorStage:
        return VendorStage("global-config/docflow", FLAGS, configs, lambda: None)


@pytest.mark.parametrize(("ref", "release"), [("vercel/docflow", RELEASE), ("global-config/docflow", FLAGS)])
async def test_a_sealed_block_rolls_back(
    ref: str, release: Release, vercel: Vercel, configs: GlobalConfigs, tmp_path: Path
) -> None:
    """Fields sealed in the vault and opened again make a block that brings everybody back."""
    server: Any = vercel if ref.startswith("vercel") else configs
    journal = SqlJournal(f"sqlite:///{tmp_path / 'journal.db'}", answer_within=30.0)
    try:
        vault = SqlVault(journal.database, [urlsafe_b64encode(b"1" * 32).decode()])
        await vault.seal("r1", {ref: server.fields()})
        opened: Any = open_block(ref, (await vault.open("r1"))[ref], FakeClock())
    finally:
        await journal.close()
    for share in (1.0, 0.0):
        await opened.expose(release, share, epoch=1)
        assert (await opened.verify(release, share)).answer == "yes"
    await opened.close()
