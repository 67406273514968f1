"""`canary plan check --live`: every block of the plan is asked, and every problem is told at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from prefect.settings import PREFECT_API_URL, temporary_settings
from typer.testing import CliRunner

from canary.cli import live
from canary.cli.live import Said, asked
from canary.cli.main import app
from canary.errors import BadUsage, CredentialError
from canary.plan.load import parse_plan
from canary.plan.model import Plan
from canary.testing.fakes import FakeBrowser
from canary.testing.fly import STABLE, FlyServer
from canary.testing.global_config import GlobalConfigs
from canary.testing.grafana import Grafana
from canary.testing.provider import serving
from canary.testing.vercel import Vercel

EDITOR = "glsa_s3cret-of-an-editor"
DOCUMENT: dict[str, Any] = {
    "name": "spring",
    "service": "docflow",
    "targets": {
        "api": {"use": "fly/docflow-api", "artifact": "registry.fly.io/docflow:{version}"},
        "web": {"use": "vercel/docflow"},
        "flags": {"use": "global-config/docflow", "set": {"phase1_enabled": True}, "read_by": ["web"]},
    },
    "mixed_versions": "ok",
    "metrics": "grafana/docflow",
    "dashboards": "grafana/docflow",
    "arms": {"canary": {"version": "{candidate}"}, "baseline": {"version": "{stable}"}},
    "signals": {"errors": {"counter": "http_requests_total", "bad": {"status": "5.."}}},
    "traffic": "errors",
    "notify": {"updates": ["terminal/all"], "page": ["terminal/all"]},
    "roles": {"owner": {"name": "Olga Owner"}, "lead": {"name": "Lars Lead"}},
}


def document(*shares: str) -> str:
    """A plan with a staging phase, these canaries, then everybody."""
    rules = {"criteria": [{"errors": "< 1%"}], "on_undecided": {"extend": "10m", "then": "hold", "for": "2h"}}
    canaries = [{"name": f"canary-{n}", "for": "30m", "exposure": s, **rules} for n, s in enumerate(shares)]
    staging = {"name": "staging", "for": "10m", "exposure": "0%", "checks": [{"name": "home", "get": "/"}]}
    return json.dumps({**DOCUMENT, "phases": [staging, *canaries, {"name": "full", "exposure": "100%"}]})


@dataclass
class Town:
    """Every platform of the plan on loopback, and Prefect's memory of the blocks that reach them."""

    fly: FlyServer = field(default_factory=FlyServer)
    vercel: Vercel = field(default_factory=Vercel)
    configs: GlobalConfigs = field(default_factory=GlobalConfigs)
    grafana: Grafana = field(default_factory=lambda: Grafana(tokens={EDITOR: "Editor"}))
    gone: set[str] = field(default_factory=set)

    async def load(self, ref: str) -> Mapping[str, Any]:
        """In place of Prefect."""
        if ref in self.gone:
            raise CredentialError(ref, "name", "there is no such block")
        board = {"url": self.grafana.url, "token": EDITOR, "datasource": "prom"}
        return {
            "fly/docflow-api": self.fly.fields(),
            "vercel/docflow": self.vercel.fields(),
            "global-config/docflow": self.configs.fields(),
            "grafana/docflow": board,
            "terminal/all": {},
        }[ref]

    async def ask(self, plan: Plan) -> dict[str, Said]:
        """What each block's platform says."""
        return {said.ref: said for said in await asked(plan, self.load)}

    def changes(self) -> list[str]:
        """Requests that could have changed anything; a query of metrics is a POST, too."""
        log = [*self.fly.log, *self.vercel.log, *self.configs.log, *self.grafana.log]
        return [f"{a.method} {a.path}" for a in log if a.method != "GET" and not a.path.endswith("/query")]


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    """Two machines, stages at 10, 50 and 100 %, an editor's token."""
    made = Town()
    made.fly.add("fra")
    made.fly.add("ams")
    async with AsyncExitStack() as stack:
        for server in (made.fly, made.vercel, made.configs, made.grafana):
            await stack.enter_async_context(serving(server))
        yield made


async def test_what_is_found_is_told_in_words(town: Town) -> None:
    """Who answers, what the way back would be, what can be shown; and nothing is changed anywhere."""
    plan = parse_plan(document("10%", "50%"))
    said = await town.ask(plan)
    assert tuple(said) == plan.block_refs()
    assert [each.problems for each in said.values()] == [()] * 5
    shown = "can show 0%; can show 10%; can show 50%; can show 100%"
    api = said["fly/docflow-api"].line()
    assert api == f"fly/docflow-api: answers; {STABLE}@{town.fly.images[STABLE]} serves everybody; {shown}"
    assert said["vercel/docflow"].line() == f"vercel/docflow: answers; dpl_stable serves everybody; {shown}"
    assert said["global-config/docflow"].good == ("answers", "can be observed")
    assert said["grafana/docflow"].good == ("answers", "dashboards can be written")
    assert said["terminal/all"].good == ("answers", "can page")
    assert town.changes() == []


async def test_every_share_that_a_platform_cannot_show_is_named(town: Town) -> None:
    """Of each target, and not the first one only: by Vercel's stages, and by Fly's single machine."""
    town.fly.remove(next(iter(town.fly.machines.values())))
    said = await town.ask(parse_plan(document("10%", "20%", "30%")))
    fly, vercel = said["fly/docflow-api"].problems, said["vercel/docflow"].problems
    assert [words.partition(",")[0] for words in fly] == [f"fly/docflow-api cannot show {n}0%" for n in (1, 2, 3)]
    assert [words.partition(":")[0] for words in vercel] == [f"vercel/docflow cannot show {n}0%" for n in (2, 3)]
    assert "can show 10%" in said["vercel/docflow"].good
    assert "→ scale the app" in fly[0]


async def test_each_block_has_its_own_trouble(town: Town) -> None:
    """No such block, a revoked token, a platform that is away, a data source that is gone: side by side, no secret."""
    town.gone.add("terminal/all")
    town.fly.knobs.revoked = True
    town.vercel.knobs.down = True
    town.grafana.datasources.clear()
    said = await town.ask(parse_plan(document("10%")))
    told = {ref: each.problems for ref, each in said.items()}
    assert [len(problems) for problems in told.values()] == [1, 1, 0, 1, 1]
    assert "field token" in told["fly/docflow-api"][0]
    assert "vercel/docflow" in told["vercel/docflow"][0]
    assert "field datasource" in told["grafana/docflow"][0]
    assert "there is no such block" in told["terminal/all"][0]
    secrets = (*town.fly.fields()["token"].split(), town.vercel.fields()["token"], EDITOR)
    assert not [secret for secret in secrets if secret in str(said)]


async def test_a_target_that_is_split_has_no_way_back(town: Town) -> None:
    """As preflight would refuse it; its shares are asked for all the same."""
    town.fly.change(next(iter(town.fly.machines.values())), "registry.fly.io/docflow:v2.1.0")
    said = (await town.ask(parse_plan(document("10%"))))["fly/docflow-api"]
    (problem,) = said.problems
    assert "is split between versions" in problem
    assert "v2.1.0" in problem
    assert "can show 10%" in said.good


async def test_what_never_answers_ends(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what fails in a way that nobody foresaw is told by its kind alone."""
    monkeypatch.setattr(live, "LOADED_WITHIN", 0.05)

    async def load(ref: str) -> Mapping[str, Any]:
        if ref == "terminal/all":
            raise RuntimeError("token=s3cret")
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    said = await asked(parse_plan(document("10%")), load)
    assert {each.problems[0].partition("\n")[0].partition(": ")[2] for each in said} == {
        "no answer within 0.05 s",
        "failed with RuntimeError",
    }


async def run(town: Town, monkeypatch: pytest.MonkeyPatch, file: Path, *more: str) -> Result:
    """The command in a thread of its own, beside the servers."""

    async def found(plan: Plan) -> Any:
        return await asked(plan, town.load)

    monkeypatch.setattr(live, "live", found)
    return await asyncio.to_thread(CliRunner().invoke, app, ["plan", "check", str(file), "--live", *more])


async def test_the_command_says_what_it_found(town: Town, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Below what the plan says, one line a block; as JSON, too."""
    file = tmp_path / "plan.yaml"
    file.write_text(document("10%"))
    done = await run(town, monkeypatch, file)
    assert done.exit_code == 0, done.output
    assert "can be used" in done.stdout
    assert [line for line in done.stdout.splitlines() if line.startswith("live: vercel/docflow: answers; dpl_stable")]
    told = json.loads((await run(town, monkeypatch, file, "--json")).stdout)
    assert (told["problems"], len(told["live"])) == ([], 5)


async def test_the_command_ends_with_every_problem(town: Town, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Exit 2, on standard error, each with its remedy; the good news are told, too."""
    file = tmp_path / "plan.yaml"
    file.write_text(document("20%"))
    town.configs.knobs.revoked = True
    done = await run(town, monkeypatch, file)
    assert done.exit_code == 2
    assert "cannot be used" in done.stdout
    assert "live: fly/docflow-api: answers" in done.stdout
    assert "the plan has 2 problems" in done.stderr
    assert "vercel/docflow cannot show 20%" in done.stderr
    assert "block global-config/docflow, field token" in done.stderr
    told = await run(town, monkeypatch, file, "--json")
    assert told.exit_code == 2
    assert len(json.loads(told.stdout)["problems"]) == 2


def test_without_a_prefect_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nobody to ask for the blocks: said once, with the setting; no server is started."""
    file = tmp_path / "plan.yaml"
    file.write_text(document("10%"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with temporary_settings(restore_defaults=[PREFECT_API_URL]):
        done = CliRunner().invoke(app, ["plan", "check", str(file), "--live"])
    assert isinstance(done.exception, BadUsage)
    assert "PREFECT_API_URL is not set" in str(done.exception)


async def test_an_api_that_is_away(tmp_path: Path) -> None:
    """The same way: usage, and which address."""
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
        pytest.raises(BadUsage, match=r"127\.0\.0\.1:9 does not answer"),
    ):
        await live.live(parse_plan(document("10%")))


async def test_an_api_that_wants_another_key() -> None:
    """What Prefect refuses is usage, too, and no traceback."""
    async with serving(Grafana()) as nobody_is_known:
        with (
            temporary_settings({PREFECT_API_URL: f"{nobody_is_known}/api"}),
            pytest.raises(BadUsage, match=r"Prefect's API answered 401"),
        ):
            await live.live(parse_plan(document("10%")))


@pytest.mark.parametrize(("lacking", "said"), [("", "browser: Chromium starts on this machine"), ("no Chromium", "")])
async def test_a_plan_with_pages_asks_for_a_browser(town: Town, lacking: str, said: str) -> None:
    """Here, where the command runs; a plan without pages starts none."""
    visit = {"name": "queue", "open": "/queue", "expect": [{"see": "#items"}]}
    body = json.loads(document("10%"))
    body["phases"][0]["checks"].append(visit)
    browser = FakeBrowser(lacks=lacking)
    found = {one.ref: one for one in await asked(parse_plan(json.dumps(body)), town.load, lambda: browser)}
    assert [one.line() for one in found.values() if one.ref == "browser" and one.good] == ([said] if said else [])
    assert all("no Chromium" in problem for problem in found["browser"].problems)
    assert bool(found["browser"].problems) is bool(lacking)
    plain = await asked(parse_plan(document("10%")), town.load, lambda: browser)
    assert "browser" not in {one.ref for one in plain}
