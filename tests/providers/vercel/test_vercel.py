"""VercelProject beyond the suite: stages, moves that take time or fail, reads that lie, and fields that are wrong."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canary.blocks.vercel import VercelProject
from canary.blocks.vercel_wire import at, steps
from canary.errors import CandidateUnhealthy, CredentialError, ProviderError, Refused
from canary.ports import Access, Release
from canary.testing.provider import Asked
from canary.testing.vercel import BYPASS, STAGES, Vercel
from canary.testing.vercel_state import Shown

RELEASE = Release("dpl_candidate", "dpl_stable")
Make = Callable[..., VercelProject]


def posts(server: Vercel) -> list[str]:
    """What was changed, as the last part of each path."""
    return [asked.path.partition("/prj_docflow/")[2] for asked in server.log if asked.method == "POST"]


async def test_the_candidate_is_reached_past_the_protection(vercel: Vercel, block: Make) -> None:
    """Staging gets the deployment's own address and the secret that opens it; without a secret no header."""
    url = "https://docflow-candidate.vercel.app"
    opened = await block().prepare(RELEASE)
    assert (opened.url, dict(opened.headers)) == (url, {"x-vercel-protection-bypass": BYPASS})
    assert BYPASS not in repr(opened)
    assert await block(bypass_secret="").prepare(RELEASE) == Access(url, {})
    assert posts(vercel) == []


async def test_the_stages_are_climbed_one_by_one(vercel: Vercel, block: Make) -> None:
    """A share two stages up passes through the one between; full completes; each again is nothing new."""
    target = block()
    for share in (0.5, 0.5, 1.0, 1.0):
        await target.expose(RELEASE, share, epoch=1)
        assert vercel.now.shares().get("dpl_candidate") == share
    assert posts(vercel) == [f"rolling-release/{verb}" for verb in ("start", "approve-stage", "complete")]


async def test_full_at_once(vercel: Vercel, block: Make) -> None:
    """With rolling releases on, 1 goes through the first stage and is completed."""
    await block().expose(RELEASE, 1.0, epoch=1)
    assert posts(vercel) == ["rolling-release/start", "rolling-release/complete"]
    assert vercel.now.shares() == {"dpl_candidate": 1.0}


async def test_a_share_that_is_no_stage(vercel: Vercel, block: Make) -> None:
    """It is refused, with the stages there are, and nothing is sent."""
    target = block()
    with pytest.raises(ProviderError, match="5% is not possible: there are 0%, 10%, 50% and 100%"):
        await target.expose(RELEASE, 0.05, epoch=1)
    assert posts(vercel) == []
    assert await target.ladder() == (0.1, 0.5, 1.0)
    for share in (0.0, 0.1, 1.0):
        await target.takes(share)
    with pytest.raises(Refused, match=r"(?s)cannot show 20%: it has 0%, 10%, 50% and 100%.*stages"):
        await target.takes(0.2)


async def test_without_rolling_releases(vercel: Vercel, block: Make) -> None:
    """There are 0 and 1, by instant promotion and rollback; another share is refused with the reason."""
    vercel.stages = []
    target = block()
    assert await target.ladder() == (1.0,)
    with pytest.raises(ProviderError, match="10% is not possible: there are 0% and 100%; rolling releases are off"):
        await target.expose(RELEASE, 0.1, epoch=1)
    for share in (1.0, 1.0, 0.0):
        await target.expose(RELEASE, share, epoch=1)
        assert (await target.verify(RELEASE, share)).answer == "yes"
    assert posts(vercel) == ["promote/dpl_candidate", "rollback/dpl_stable"]


async def test_stages_go_up_only(vercel: Vercel, block: Make) -> None:
    """A lower share than there is, but for 0, is refused: the platform has no way down but the rollback."""
    target = block()
    for reached in (0.5, 1.0):
        await target.expose(RELEASE, reached, epoch=1)
        with pytest.raises(ProviderError, match=f"{reached * 100:g}% of users are on the candidate already"):
            await target.expose(RELEASE, 0.1, epoch=1)
        assert vercel.now.shares()["dpl_candidate"] == reached


async def test_a_rollback_that_is_not_needed_is_not_sent(vercel: Vercel, block: Make) -> None:
    """Vercel stops deploying automatically after a rollback: who serves stable already is left alone."""
    await block().expose(RELEASE, 0.0, epoch=1)
    assert posts(vercel) == []


async def test_what_was_raised_is_lowered_whatever_is_read(vercel: Vercel, block: Make) -> None:
    """A stale read that still shows stable does not keep the rollback from being sent."""
    target = block()
    await target.expose(RELEASE, 0.1, epoch=1)
    vercel.stale_reads = 40
    await target.expose(RELEASE, 0.0, epoch=1)
    assert vercel.now.shares() == {"dpl_stable": 1.0}


async def test_a_rollback_needs_no_read(vercel: Vercel, block: Make) -> None:
    """Somebody who has seen nothing and gets no answer to a look sends it all the same."""
    await block().expose(RELEASE, 0.1, epoch=1)
    vercel.knobs.fails = 2
    await block().expose(RELEASE, 0.0, epoch=2)
    assert vercel.now.shares() == {"dpl_stable": 1.0}


async def test_a_stale_read_does_not_verify(vercel: Vercel, block: Make) -> None:
    """What the platform shows late is a no until it shows it."""
    target = block()
    await target.expose(RELEASE, 0.1, epoch=1)
    vercel.stale_reads = 2
    assert (await target.verify(RELEASE, 0.1)).answer == "no"
    assert (await target.verify(RELEASE, 0.1)).answer == "yes"


@pytest.mark.parametrize(("share", "shown"), [(0.1, 0.1), (1.0, 1.0), (0.0, 0.0)])
async def test_a_lost_answer_is_asked_again(vercel: Vercel, block: Make, share: float, shown: float) -> None:
    """The connection breaks behind the change: the verb fails, and the same verb again ends in the same place."""
    target = block()
    if share == 0:
        await target.expose(RELEASE, 0.5, epoch=1)
    vercel.knobs.loses_answers = 1
    with pytest.raises(ProviderError):
        await target.expose(RELEASE, share, epoch=1)
    await target.expose(RELEASE, share, epoch=1)
    verified = await target.verify(RELEASE, share)
    assert (verified.answer, verified.observed) == ("yes", shown)


async def test_domains_on_their_way_are_no_yes(vercel: Vercel, block: Make) -> None:
    """A move that takes longer than a verb may is accepted, and not verified before it is over."""
    vercel.stages, vercel.move_looks = [], 60
    target = block()
    await target.expose(RELEASE, 1.0, epoch=1)
    verified = await target.verify(RELEASE, 1.0)
    assert verified.answer == "no"
    assert "still being moved to dpl_candidate" in verified.detail
    vercel.now = Shown("dpl_candidate")
    assert (await target.verify(RELEASE, 1.0)).answer == "yes"


async def test_a_move_is_not_asked_for_twice(vercel: Vercel, block: Make) -> None:
    """While the platform is at it, asking again only watches; a raise against another move is refused."""
    vercel.stages, vercel.move_looks = [], 60
    for _ in range(2):
        await block().expose(RELEASE, 1.0, epoch=1)
    assert posts(vercel) == ["promote/dpl_candidate"]
    with pytest.raises(ProviderError, match="domains are being moved to dpl_candidate"):
        await block().expose(Release("dpl_other", "dpl_stable"), 1.0, epoch=1)


async def test_a_half_done_move_is_told_and_done_again(vercel: Vercel, block: Make) -> None:
    """Not every domain moved: an error, never a yes; the same verb again moves them all."""
    target = block()
    await target.expose(RELEASE, 1.0, epoch=1)
    vercel.moves_fail = 1
    with pytest.raises(ProviderError, match="could not move every domain to dpl_stable"):
        await target.expose(RELEASE, 0.0, epoch=1)
    assert (await target.verify(RELEASE, 0.0)).answer == "no"
    assert "not every domain" in (await target.verify(RELEASE, 0.0)).detail
    await block().expose(RELEASE, 0.0, epoch=2)
    assert (await target.verify(RELEASE, 0.0)).answer == "yes"


async def test_production_changed_by_hand(vercel: Vercel, block: Make) -> None:
    """Another deployment in production is a no; nobody is raised over it; a rollback brings stable back."""
    vercel.add("dpl_hotfix").substate = "PROMOTED"
    vercel.by_hand("dpl_hotfix")
    target = block()
    verified = await target.verify(RELEASE, 0.0)
    assert (verified.answer, verified.observed) == ("no", 0.0)
    with pytest.raises(ProviderError, match="served by dpl_hotfix"):
        await target.expose(RELEASE, 0.1, epoch=1)
    await target.expose(RELEASE, 0.0, epoch=1)
    assert vercel.now.shares() == {"dpl_stable": 1.0}


async def test_somebody_elses_rolling_release(vercel: Vercel, block: Make) -> None:
    """It is not raised over, and seen as what it is."""
    vercel.add("dpl_other")
    await block().expose(Release("dpl_other", "dpl_stable"), 0.1, epoch=1)
    with pytest.raises(ProviderError, match="served by dpl_other"):
        await block().expose(RELEASE, 0.1, epoch=1)
    assert (await block().verify(RELEASE, 0.1)).answer == "no"
    assert (await block().observe()).shares == {"dpl_stable": 0.9, "dpl_other": 0.1}


async def test_a_platform_that_takes_it_back_itself(vercel: Vercel, block: Make) -> None:
    """A rolling release aborted by the platform's own gate shows at once."""
    target = block()
    await target.expose(RELEASE, 0.1, epoch=1)
    vercel.by_hand("dpl_stable")
    assert (await target.verify(RELEASE, 0.1)).answer == "no"
    assert (await target.verify(RELEASE, 0.0)).answer == "yes"


async def test_a_refusal_because_it_is_there_already(vercel: Vercel, block: Make) -> None:
    """The platform answers 409 to what it has: that is a success, and any other 409 is not."""
    vercel.stages, vercel.stale_reads = [], 2
    vercel.change(Shown("dpl_candidate"))
    vercel.conflicts = 1
    await block().expose(RELEASE, 1.0, epoch=1)
    vercel.change(Shown("dpl_stable"))
    vercel.conflicts = 1
    with pytest.raises(ProviderError, match="409"):
        await block().expose(RELEASE, 1.0, epoch=1)


@pytest.mark.parametrize("state", ["ERROR", "CANCELED", "BLOCKED"])
async def test_a_candidate_that_was_not_built(vercel: Vercel, block: Make, state: str) -> None:
    """It is told at once, with the platform's reason."""
    vercel.deployments["dpl_candidate"].state = state
    vercel.deployments["dpl_candidate"].why = "npm run build exited with 1"
    with pytest.raises(CandidateUnhealthy, match=f"dpl_candidate is {state}: npm run build exited with 1"):
        await block().prepare(RELEASE)


async def test_a_candidate_that_is_being_built(vercel: Vercel, block: Make) -> None:
    """It is waited for, but not for ever."""
    vercel.deployments["dpl_candidate"].state, vercel.build_looks = "BUILDING", 5
    await block().prepare(RELEASE)
    vercel.deployments["dpl_candidate"].state, vercel.build_looks = "BUILDING", 500
    with pytest.raises(CandidateUnhealthy, match="is BUILDING after 30 s"):
        await block(ready_within=30.0).prepare(RELEASE)


async def test_a_preview_is_no_candidate(vercel: Vercel, block: Make) -> None:
    """What was not built for production has another environment compiled in."""
    vercel.deployments["dpl_candidate"].target = None
    with pytest.raises(CandidateUnhealthy, match=r"(?s)preview deployment.*--prod --skip-domain"):
        await block().prepare(RELEASE)


async def test_a_candidate_of_another_project(vercel: Vercel, block: Make) -> None:
    """The token may see it; that does not make it this project's."""
    vercel.deployments["dpl_candidate"].project = "prj_shop"
    with pytest.raises(CandidateUnhealthy, match="belongs to prj_shop"):
        await block().prepare(RELEASE)


async def test_a_candidate_that_is_not_there(block: Make) -> None:
    """Neither by id nor by version; the error says how to make one."""
    with pytest.raises(CandidateUnhealthy, match="there is no deployment dpl_nothing"):
        await block().prepare(Release("dpl_nothing", "dpl_stable"))
    with pytest.raises(CandidateUnhealthy, match=r"(?s)metadata version=9\.9.*--meta version=9\.9"):
        await block().prepare(Release("9.9", "dpl_stable"))


async def test_a_version_on_two_deployments(vercel: Vercel, block: Make) -> None:
    """Which one is meant cannot be known: both are named, and a rollback works all the same."""
    vercel.add("dpl_twin", version="2.1.0")
    by_version = Release("2.1.0", "dpl_stable")
    with pytest.raises(ProviderError, match="dpl_twin, dpl_candidate"):
        await block().prepare(by_version)
    await block().expose(RELEASE, 0.1, epoch=1)
    await block().expose(by_version, 0.0, epoch=2)
    assert (await block().verify(by_version, 0.0)).answer == "yes"


async def test_a_candidate_that_is_stable(block: Make) -> None:
    """A version that is in production already is not rolled out."""
    with pytest.raises(ProviderError, match=r"2\.0\.9 is dpl_stable, which is stable"):
        await block().prepare(Release("2.0.9", "dpl_stable"))


async def test_a_pruned_stable(vercel: Vercel, block: Make) -> None:
    """Without a way back there is no way there."""
    vercel.prune("dpl_stable")
    with pytest.raises(ProviderError, match="to go back to, dpl_stable, is gone"):
        await block().prepare(RELEASE)


async def test_a_project_without_production(vercel: Vercel, block: Make) -> None:
    """There is nothing to observe, and it says so."""
    vercel.now = Shown("")
    with pytest.raises(ProviderError, match="no production deployment"):
        await block().observe()


@pytest.mark.parametrize(
    ("changed", "field", "why"),
    [
        ({"token": "wrong-t0ken"}, "token", "401"),
        ({"project_id": "prj_other"}, "project_id", "no project prj_other in team team_docflow"),
        ({"project_id": "prj_other", "team_id": ""}, "project_id", "a team's project needs team_id"),
        ({"bypass_secret": "another-secret"}, "bypass_secret", "knows no such"),
    ],
)
async def test_a_wrong_field_is_named(block: Make, changed: dict[str, str], field: str, why: str) -> None:
    """Whoever reads the error knows which field to correct; no value of a secret is in it."""
    with pytest.raises(CredentialError, match=why) as error:
        await block(**changed).check_connection()
    assert (error.value.block, error.value.field) == ("vercel/docflow", field)
    assert not {"wrong-t0ken", "another-secret", BYPASS} & set(str(error.value).split())


@pytest.mark.parametrize(
    "stage",
    [{"targetPercentage": 10, "duration": 5}, {"targetPercentage": 10, "requireApproval": True, "linearShift": True}],
)
async def test_a_rolling_release_that_goes_on_by_itself(vercel: Vercel, block: Make, stage: dict[str, object]) -> None:
    """It would raise without being asked, and is refused before anything is touched."""
    vercel.stages = [stage, {"targetPercentage": 100}]
    with pytest.raises(CredentialError, match="stage of 10% goes on without an approval"):
        await block().check_connection()


@pytest.mark.parametrize(
    "fields",
    [
        {"project_id": "docflow"},
        {"project_id": "prj_x/../../v1"},
        {"team_id": "docflow"},
        {"version_meta": "a b"},
        {"ready_within": 0},
        {"url": "ftp://x"},
    ],
)
def test_a_field_that_cannot_be(fields: dict[str, object]) -> None:
    """It is refused when the block is made, before any request."""
    with pytest.raises(CredentialError) as error:
        VercelProject.from_fields("vercel/docflow", {"token": "t", "project_id": "prj_x", **fields})
    assert error.value.field == next(iter(fields))


async def test_a_personal_account_has_no_team(vercel: Vercel, block: Make) -> None:
    """Nothing is said of a team; with one, every request says it."""
    await block(team_id="").observe()
    assert all("teamId" not in asked.query for asked in vercel.log)
    vercel.log.clear()
    await block().observe()
    assert {asked.query.get("teamId") for asked in vercel.log} == {"team_docflow"}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wishes=st.lists(st.sampled_from([0.0, *(p / 100 for p in STAGES), 0.2]), max_size=6), losing=st.booleans())
async def test_any_order_of_wishes(vercel: Vercel, block: Make, wishes: list[float], losing: bool) -> None:
    """Whatever is asked for in whatever order, users are on a stage that was asked for, or where they were."""
    vercel.change(Shown("dpl_stable"))
    vercel.deployments["dpl_candidate"].substate = "STAGED"
    for wish in wishes:
        target, before = block(), vercel.now.shares().get("dpl_candidate", 0.0)
        vercel.knobs.loses_answers = int(losing)
        try:
            await target.expose(RELEASE, wish, epoch=1)
            reached = {wish}
        except ProviderError:
            reached = {share for share in (0.1, 0.5, 1.0) if before <= share <= wish} | {before, wish}
        vercel.knobs.loses_answers = 0
        now = vercel.now.shares()
        assert now.get("dpl_candidate", 0.0) in reached
        assert (await target.verify(RELEASE, now.get("dpl_candidate", 0.0))).answer == "yes"
        await target.close()
    await block().expose(RELEASE, 0.0, epoch=2)
    assert vercel.now.shares() == {"dpl_stable": 1.0}


@given(st.lists(st.integers(1, 99), max_size=5, unique=True).map(sorted))
def test_steps_in_words(percentages: list[int]) -> None:
    """Every stage is found again by its share, and named."""
    ladder = (*(p / 100 for p in percentages), 1.0)
    assert [at(share, ladder) for share in ladder] == list(range(len(ladder)))
    assert at(0.995, ladder) is None
    assert steps(ladder).endswith("and 100%")
    assert all(f"{p}%" in steps(ladder) for p in percentages)


def test_a_request_off_the_contract_is_seen(hold: Callable[[str, list[Asked]], None]) -> None:
    """The description is not so wide that it holds nothing: another verb, field or id is a failure."""
    at_start = "/v1/projects/prj_docflow/rolling-release/start"
    headers = {"content-type": "application/json", "authorization": "Bearer t"}
    good = Asked("POST", at_start, {}, headers, json.dumps({"canaryDeploymentId": "dpl_1"}).encode())
    hold("vercel", [good])
    wrong = [
        Asked("PUT", at_start, {}, headers, good.body),
        Asked("POST", at_start, {}, headers, b'{"canaryDeploymentId": 1}'),
        Asked("POST", at_start, {}, {"content-type": "application/json"}, good.body),
        Asked("POST", "/v2/projects/prj_docflow/promote/dpl_1", {}, headers, b""),
    ]
    for asked in wrong:
        with pytest.raises(AssertionError):
            hold("vercel", [asked])
