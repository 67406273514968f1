"""A plan on Vercel and Global Config, through preflight and the conductor's own way of raising and lowering."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from canary.blocks.clock import SystemClock
from canary.blocks.registry import open_block
from canary.errors import CredentialError, Refused
from canary.plan.load import parse_plan
from canary.plan.model import Plan
from canary.rollout.adapters import Adapters, Opener, open_adapters
from canary.rollout.effects import lower_all, raise_all
from canary.rollout.events import Identities
from canary.rollout.preflight import preflight
from canary.testing.fakes import FakeBrowser, FakeEvidence, FakeMetrics, FakeNotifier, FakeProbe
from canary.testing.global_config import GlobalConfigs
from canary.testing.vercel import Vercel

CLOCK = SystemClock()
DOCUMENT: dict[str, Any] = {
    "name": "spring",
    "service": "docflow",
    "targets": {
        "web": {"use": "vercel/docflow"},
        "flags": {"use": "global-config/docflow", "set": {"phase1_enabled": True}, "read_by": ["web"]},
    },
    "metrics": "scraper/docflow",
    "arms": {"canary": {"version": "{candidate}"}, "baseline": {"version": "{stable}"}},
    "signals": {"errors": {"counter": "http_requests_total", "bad": {"status": "5.."}}},
    "traffic": "errors",
    "notify": {"updates": ["terminal/all"], "page": ["terminal/all"]},
    "roles": {"owner": {"name": "Olga Owner"}, "lead": {"name": "Lars Lead"}},
}


def plan_with(share: str) -> Plan:
    """A canary of that share, then everybody."""
    canary = {
        "name": "canary",
        "for": "30m",
        "exposure": share,
        "criteria": [{"errors": "< 1%"}],
        "on_undecided": {"extend": "10m", "then": "hold", "for": "2h"},
    }
    return parse_plan(json.dumps({**DOCUMENT, "phases": [canary, {"name": "full", "exposure": "100%"}]}))


@pytest.fixture
async def adapters(vercel: Vercel, configs: GlobalConfigs) -> AsyncIterator[Adapters]:
    """The plan's, the targets made from what a vault would give."""
    fields = {"vercel/docflow": vercel.fields(), "global-config/docflow": configs.fields()}
    others = {"scraper/docflow": FakeMetrics(), "terminal/all": FakeNotifier()}

    def block(ref: str, given: Mapping[str, Any]) -> object:
        return others.get(ref) or open_block(ref, given)

    opener = Opener(block, FakeProbe, FakeBrowser, FakeEvidence, lambda ref, given: {})
    opened = open_adapters(plan_with("10%"), {**{ref: {} for ref in others}, **fields}, opener)
    yield opened
    await opened.close()


async def test_preflight_fixes_the_release(adapters: Adapters) -> None:
    """The candidate by its version, stable by its deployment's id; flags as documents."""
    passed = await preflight(plan_with("10%"), "2.1.0", adapters, CLOCK)
    assert passed.release["web"] == Identities(candidate="2.1.0", stable="dpl_stable")
    assert passed.release["flags"].candidate == '{"phase1_enabled":true}'


async def test_preflight_refuses_what_is_no_stage(adapters: Adapters, vercel: Vercel) -> None:
    """A plan that wants 20 % of a project with stages at 10 and 50 % touches nothing."""
    with pytest.raises(Refused, match="cannot show 20%: it has 0%, 10%, 50% and 100%"):
        await preflight(plan_with("20%"), "2.1.0", adapters, CLOCK)
    assert {asked.method for asked in vercel.log} == {"GET"}


async def test_preflight_names_a_field(adapters: Adapters, configs: GlobalConfigs) -> None:
    """A token that was revoked is named by its block and field."""
    configs.knobs.revoked = True
    with pytest.raises(CredentialError) as error:
        await preflight(plan_with("10%"), "2.1.0", adapters, CLOCK)
    assert (error.value.block, error.value.field) == ("global-config/docflow", "token")


async def _always() -> None:
    """Nothing forbids a raise here."""


async def test_up_and_back(adapters: Adapters, vercel: Vercel, configs: GlobalConfigs) -> None:
    """10 %, everybody, and both targets back at once, each step verified by what the platforms show."""
    release = (await preflight(plan_with("10%"), "2.1.0", adapters, CLOCK)).release
    for share in (0.1, 1.0):
        seen = await raise_all(CLOCK, adapters.targets, release, share, 1, _always)
        assert {name: looked.answer for name, looked in seen.items()} == {"web": "yes", "flags": "yes"}
        assert vercel.now.shares()["dpl_candidate"] == share
        assert configs.items["phase1_enabled"] is True
    lowered = await lower_all(CLOCK, adapters.targets, release, 1)
    assert {name: looked.answer for name, looked in lowered.items()} == {"web": "yes", "flags": "yes"}
    assert vercel.now.shares() == {"dpl_stable": 1.0}
    assert configs.items["phase1_enabled"] is False
