"""The five platforms of the demo: reached by the plan's own blocks, and telling what they show."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from importlib.resources import as_file, files

import pytest

from canary.blocks.registry import open_block
from canary.plan.load import load_plan
from canary.ports import Release
from canary.sandbox.platforms.town import CANDIDATE, GRAFANA_TOKEN, Town, image
from canary.sandbox.wire import STABLE_VERSION
from canary.testing import fly, global_config, slack, vercel
from canary.testing.fly_machines import FakeMachine
from canary.testing.provider import Asked

STABLE = f"{image(STABLE_VERSION)}@sha256:{1:064x}"


def test_every_block_of_the_plan_but_the_check_s_token_is_there(town: Town) -> None:
    """plans/providers.yaml names no other ones, and each can be made of the fields."""
    with as_file(files("canary.plans") / "providers.yaml") as path:
        refs = load_plan(path).plan.block_refs()
    blocks = town.blocks("http://127.0.0.1:1")
    assert set(blocks) == set(refs) - {"token/docflow-admin"}
    assert [open_block(ref, fields).ref for ref, fields in blocks.items()] == list(blocks)  # type: ignore[attr-defined]


async def test_the_blocks_move_what_the_platforms_show(
    town: Town, hold: Callable[[str, Iterable[Asked], str], None]
) -> None:
    """To 10 %, everybody and back, by Fly's machines, Vercel's stages and the flags."""
    fields = town.blocks("http://127.0.0.1:1")
    town.healthy()
    api = open_block("fly/docflow-api", fields["fly/docflow-api"], town.clock)
    web = open_block("vercel/docflow", fields["vercel/docflow"], town.clock)
    flags = open_block("global-config/docflow", fields["global-config/docflow"], town.clock)
    releases = {api: Release(image(CANDIDATE), STABLE), web: Release(CANDIDATE, "dpl_stable")}
    releases[flags] = Release('{"phase1_enabled":true}', '{"phase1_enabled":false}')
    for share in (0.1, 1.0, 0.0):
        for target, release in releases.items():
            for _ in range(20):
                await target.expose(release, share, 1)  # type: ignore[attr-defined]
                if (await target.verify(release, share)).answer == "yes":  # type: ignore[attr-defined]
                    break
        assert town.candidates() == {"api": pytest.approx(share), "web": pytest.approx(share)}
        assert town.flags()["phase1_enabled"] is (share > 0)
    for target in releases:
        await target.close()  # type: ignore[attr-defined]
    hold("fly", town.fly.log, "/v1")
    hold("vercel", [*town.vercel.log, *town.configs.log], "")


def test_a_machine_that_is_not_healthy_has_no_users(town: Town, launch: Callable[[], FakeMachine]) -> None:
    """The others share them; nothing is known of the api while none serves at all."""
    launch()
    assert town.candidates()["api"] == 0.0
    town.clock.stand_still(10.0)  # type: ignore[attr-defined]
    assert town.candidates()["api"] == 0.0, "its check does not pass before the candidate has answered"
    town.healthy()
    assert town.candidates()["api"] == pytest.approx(0.1)
    for machine in town.fly.machines.values():
        town.fly.rest(machine)
    assert "api" not in town.candidates()


async def test_three_channels_hear_what_is_theirs(town: Town) -> None:
    """One server of Slack, and every message is shown with the block that it came by."""
    fields = town.blocks("http://127.0.0.1:1")
    for ref in ("slack/sre", "slack/sre-oncall", "slack/docflow-admins"):
        block = open_block(ref, fields[ref])
        assert (await block.post("demo-1", f"by {ref}")).confirmed  # type: ignore[attr-defined]
    told = town.look()["Slack"].state["messages"]
    assert [(message["to"], message["text"]) for message in told] == [
        (ref, f"[demo-1] by {ref}") for ref in ("slack/sre", "slack/sre-oncall", "slack/docflow-admins")
    ]


def test_the_page_for_people_holds_no_token(town: Town) -> None:
    """It is open to everybody on this machine."""
    shown = json.dumps({name: each.model_dump() for name, each in town.look().items()})
    secrets = (fly.TOKEN, vercel.TOKEN, vercel.BYPASS, global_config.TOKEN, slack.TOKEN, GRAFANA_TOKEN)
    assert [secret for secret in secrets if secret in shown] == []
    assert [*town.look()] == ["Fly", "Vercel", "Global Config", "Grafana", "Slack"]
