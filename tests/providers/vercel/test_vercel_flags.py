"""Flags that are compiled in: off means the variable, a new build, and its promotion."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from canary.blocks.vercel import VercelProject
from canary.errors import CandidateUnhealthy, ProviderError
from canary.ports import Release
from canary.testing.vercel import Vercel

Make = Callable[..., VercelProject]
AI, FORECAST, EXPORT = (f"NEXT_PUBLIC_ENABLE_{name}" for name in ("AI_QUEUE", "FORECAST", "EXPORT_SCHEDULE"))
RELEASE = Release("dpl_candidate", "dpl_stable")


def built(server: Vercel) -> list[str]:
    """The deployments that were not there at first."""
    return [name for name in server.deployments if name not in ("dpl_stable", "dpl_candidate")]


@pytest.fixture
async def full(vercel: Vercel, block: Make) -> VercelProject:
    """The candidate serves everybody, all three flags on."""
    for flag in (AI, FORECAST, EXPORT):
        vercel.env[flag] = {
            "id": f"env_{flag}",
            "key": flag,
            "value": "true",
            "type": "plain",
            "target": ["production"],
        }
    target = block()
    await target.expose(RELEASE, 1.0, epoch=1)
    return target


@pytest.mark.parametrize("stages", [True, False], ids=["rolling", "instant"])
async def test_a_flag_is_built_away(vercel: Vercel, full: VercelProject, stages: bool) -> None:
    """Everybody gets a new build of what was in production, without that flag and with the others."""
    vercel.stages, vercel.build_looks = vercel.stages if stages else [], 3
    new = await full.switch_off(AI)
    assert vercel.now.shares() == {new: 1.0}
    assert vercel.deployments[new].env == {AI: "false", FORECAST: "true", EXPORT: "true"}
    created = next(asked for asked in vercel.log if asked.path == "/v13/deployments")
    assert b'"deploymentId":"dpl_candidate"' in created.body


async def test_nobody_gets_the_build_before_it_is_promoted(vercel: Vercel, full: VercelProject) -> None:
    """While it is being built, and if that fails, everybody stays where they are."""
    vercel.builds_fail = True
    with pytest.raises(CandidateUnhealthy, match="npm run build exited with 1"):
        await full.switch_off(AI)
    assert vercel.now.shares() == {"dpl_candidate": 1.0}
    vercel.builds_fail = False
    new = await full.switch_off(AI)
    assert vercel.now.shares() == {new: 1.0}
    assert len(built(vercel)) == 2


async def test_twice_is_once(vercel: Vercel, full: VercelProject) -> None:
    """The same flag again is the same deployment."""
    assert await full.switch_off(AI) == await full.switch_off(AI)
    assert len(built(vercel)) == 1


async def test_three_flags_one_after_the_other(vercel: Vercel, full: VercelProject) -> None:
    """Each build is one of what was in production then, and keeps off what was off."""
    for flag in (AI, FORECAST, EXPORT):
        new = await full.switch_off(flag)
    assert vercel.deployments[new].env == dict.fromkeys((AI, FORECAST, EXPORT), "false")
    assert len(built(vercel)) == 3


@pytest.mark.parametrize("lost", range(1, 4), ids=["variable", "build", "promotion"])
async def test_a_lost_answer_makes_no_second_build(vercel: Vercel, full: VercelProject, lost: int) -> None:
    """Whichever answer is lost, asking again ends with one build, in production."""
    vercel.stages = []
    vercel.knobs.keeps_answers, vercel.knobs.loses_answers = lost - 1, 1
    with pytest.raises(ProviderError):
        await full.switch_off(AI)
    new = await full.switch_off(AI)
    assert built(vercel) == [new]
    assert vercel.now.shares() == {new: 1.0}


async def test_not_while_users_are_split(vercel: Vercel, block: Make) -> None:
    """A build of which arm? It is refused, and nothing is sent."""
    target = block()
    await target.expose(RELEASE, 0.1, epoch=1)
    with pytest.raises(ProviderError, match="no single deployment serves everybody"):
        await target.switch_off(AI)
    assert vercel.env == {}
    assert built(vercel) == []


@pytest.mark.parametrize("flag", ["", "a b", "1X", "A=B", "../env"])
async def test_what_is_no_variable(vercel: Vercel, block: Make, flag: str) -> None:
    """It is refused before anything is asked."""
    with pytest.raises(ProviderError, match="no environment variable"):
        await block().switch_off(flag)
    assert vercel.log == []


async def test_a_variable_that_is_not_taken(vercel: Vercel, full: VercelProject) -> None:
    """The platform's 201 may hold a failure: it is told, and nothing is built."""
    vercel.env_fails = True
    with pytest.raises(ProviderError, match=r"NEXT_PUBLIC_ENABLE_AI_QUEUE was not set: .*ENV_CONFLICT"):
        await full.switch_off(AI)
    assert built(vercel) == []


async def test_the_candidates_version_stays_its_own(vercel: Vercel, full: VercelProject) -> None:
    """A build without a flag carries its source's metadata, and is not taken for the candidate."""
    new = await full.switch_off(AI)
    vercel.deployments[new].meta["version"] = "2.1.0"
    verified = await full.verify(Release("2.1.0", "dpl_stable"), 1.0)
    assert (verified.answer, verified.observed) == ("no", 0.0)
